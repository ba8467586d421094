"""A headless Chromium for tests, by the Chrome DevTools Protocol over two pipes.

Debian's chromium-headless-shell, which the toolbox brings, or the caller's.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser")
_PATIENCE_S = 120.0
_LOOK_AGAIN_S = 0.05
_PHONE_PIXELS = 600
# The descriptors at which --remote-debugging-pipe reads and writes, and the least one that is neither.
_READS, _WRITES, _FREE = 3, 4, 10
_CHUNK_BYTES = 1 << 20


def find_browser() -> str | None:
    """Return the path of a Chromium on the PATH, or None."""
    return next((program for name in BROWSERS if (program := shutil.which(name))), None)


class BrowserError(Exception):
    """The browser ended, did not answer, or refused a command."""


class BrowserPage:
    """One page in a browser.

    Attributes:
        problems: What the browser complained of: refused by the policy, failed to load, threw an exception.
        loads: How often a page was loaded.
    """

    def __init__(self, reader: int, writer: int) -> None:
        self.problems: list[str] = []
        self.loads = 0
        self._reader = reader
        self._writer = writer
        self._received = b""
        self._number = 0
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON)
        """Call a method of the protocol, and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._writer, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") != self._number:
                self._note(answer)
            elif "error" in answer:
                raise BrowserError(f"{method}: {answer['error']['message']}")
            else:
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, url: str) -> None:
        """Open a page, and wait until it was loaded."""
        before = self.loads
        answer = self.call("Page.navigate", url=url)
        if "errorText" in answer:
            raise BrowserError(f"{url}: {answer['errorText']}")
        self.wait_until(lambda: self.loads > before)

    def resize(self, width: int, height: int) -> None:
        """Set the size of the window; a narrow one is a phone's, with twice the pixels."""
        is_phone = width < _PHONE_PIXELS
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if is_phone else 1,
            mobile=is_phone,
        )

    def prefer(self, scheme: Literal["light", "dark"]) -> None:
        """Set the preferred colour scheme."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def evaluate(self, expression: str) -> Any:  # noqa: ANN401 (JSON)
        """Return the value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise BrowserError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait_until(self, is_so: Callable[[], Any] | str) -> None:
        """Wait until something is so: a function of the test, or an expression in the page."""
        deadline_s = time.monotonic() + _PATIENCE_S
        while not (self.evaluate(is_so) if isinstance(is_so, str) else is_so()):
            if time.monotonic() > deadline_s:
                raise BrowserError(f"not within {_PATIENCE_S} s: {is_so}")
            while self._has_more(_LOOK_AGAIN_S):
                self._note(self._receive())

    def photograph(self, picture: Path) -> None:
        """Save what the window shows as PNG."""
        picture.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def _has_more(self, seconds: float) -> bool:
        return b"\0" in self._received or bool(select.select([self._reader], [], [], seconds)[0])

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            if not self._has_more(_PATIENCE_S):
                raise BrowserError(f"the browser did not answer within {_PATIENCE_S} s")
            chunk = os.read(self._reader, _CHUNK_BYTES)
            if not chunk:
                raise BrowserError("the browser ended")
            self._received += chunk
        message, self._received = self._received.split(b"\0", 1)
        answer: dict[str, Any] = json.loads(message)
        return answer

    def _note(self, event: dict[str, Any]) -> None:
        method, parameters = event.get("method"), event.get("params", {})
        if method == "Page.loadEventFired":
            self.loads += 1
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in {"warning", "error"}:
            self.problems.append(parameters["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(parameters["exceptionDetails"]))


@contextmanager
def open_browser(browser: str, directory: Path) -> Iterator[BrowserPage]:
    """Run a browser.

    Args:
        browser: Path of the browser.
        directory: Folder for its profile.

    Yields:
        An empty page of it.
    """
    commands, writer = os.pipe()
    reader, answers = os.pipe()
    # Out of the way of the descriptors that the browser expects.
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _FREE) for end in (commands, answers)]
    arguments = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        "--remote-debugging-pipe", f"--user-data-dir={directory / 'chromium'}",
    ]  # fmt: skip
    process = os.posix_spawn(
        browser, arguments, os.environ,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, moved[0], _READS),
            (os.POSIX_SPAWN_DUP2, moved[1], _WRITES),
            (os.POSIX_SPAWN_OPEN, 1, str(directory / "chromium.log"), os.O_WRONLY | os.O_CREAT, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setpgroup=0,
    )  # fmt: skip
    for end in (commands, answers, *moved):
        os.close(end)
    try:
        yield BrowserPage(reader, writer)
    finally:
        for end in (reader, writer):
            os.close(end)
        with suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)
