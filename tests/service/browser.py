"""A headless Chromium for tests: Debian's, which the toolbox brings, or the caller's."""

import shutil
import subprocess
from pathlib import Path

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser")


def find_browser() -> str | None:
    """Return the path of a Chromium on the PATH, or None."""
    return next((program for name in BROWSERS if (program := shutil.which(name))), None)


def browse(browser: str, directory: Path, *arguments: str) -> str:
    """Run the browser once.

    Args:
        browser: Path of the browser.
        directory: Folder for its profile.
        *arguments: Options, then the URL.

    Returns:
        Its standard output.

    Raises:
        subprocess.CalledProcessError: The browser failed.
    """
    return subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--user-data-dir={directory / 'chromium'}", *arguments,
        ],
        capture_output=True, text=True, check=True, timeout=120,
    ).stdout  # fmt: skip
