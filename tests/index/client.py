"""Makes environments in which uv and pip use one index and nothing else."""

import os
import sys
from pathlib import Path

import pip
import uv

from tests.index.repository import DEFAULT_ROOT, IndexRoot
from tests.index.server import HOST, LocalIndex

_FOREIGN_PREFIXES = ("UV_", "PIP_", "PYTHON", "VIRTUAL_ENV", "CONDA", "XDG_")
_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy", "ftp_proxy"})


def uv_environment(index: LocalIndex, folder: Path, root: IndexRoot = DEFAULT_ROOT) -> dict[str, str]:
    """Return an environment in which uv knows one index, an empty cache and nothing of the machine's own.

    Args:
        index: The index.
        folder: A folder of the test's own, for the cache and the home.
        root: Which of the server's indexes is the default one.

    Returns:
        All environment variables, for ``subprocess``.
    """
    return {
        **_clean_environment(folder),
        "UV_CACHE_DIR": str(folder / "uv-cache"),
        "UV_DEFAULT_INDEX": index.url(root),
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_PYTHON_INSTALL_DIR": str(folder / "uv-python"),
    }


def pip_environment(index: LocalIndex, folder: Path, root: IndexRoot = DEFAULT_ROOT) -> dict[str, str]:
    """Return an environment in which pip knows one index, an empty cache and nothing of the machine's own.

    Args:
        index: The index.
        folder: A folder of the test's own, for the cache and the home.
        root: Which of the server's indexes is the default one.

    Returns:
        All environment variables, for ``subprocess``.
    """
    return {
        **_clean_environment(folder),
        "PYTHONPATH": str(Path(pip.__file__).parent.parent),
        "PIP_CACHE_DIR": str(folder / "pip-cache"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_INDEX_URL": index.url(root),
        "PIP_NO_INPUT": "1",
    }


def uv_binary() -> str:
    """Return the path of the program in the wheel `uv`."""
    return uv.find_uv_bin()


def pip_command() -> list[str]:
    """Return the start of a command line of the pip that this interpreter has."""
    return [sys.executable, "-m", "pip"]


def _clean_environment(folder: Path) -> dict[str, str]:
    """Return the caller's environment without what turns a client to another index or through a proxy."""
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(_FOREIGN_PREFIXES) and name.lower() not in _PROXIES
    }
    return {**kept, "HOME": str(home), "NO_PROXY": HOST, "no_proxy": HOST}
