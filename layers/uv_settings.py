"""The settings of uv that may decide how a layer's wheels are found, and never what is installed, or where.

uv reads variables, a project's files (`uv.toml`, `[tool.uv]` of a pyproject.toml, in its working folder and
above), and the user's and the system's `uv.toml`. The lock decides what a layer has: a project's files, which
may leave packages out or write elsewhere, are not read.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from layers.errors import LayerUvError

# Variables of uv that say how to reach an index, and where it keeps what it has fetched. Any other could
# change what is installed, or where.
_PASSED_ON = re.compile(
    r"UV_(?:CACHE_DIR|CONCURRENT_\w+|CREDENTIALS_DIR|DEFAULT_INDEX|EXTRA_INDEX_URL|HTTP_\w+|INDEX|INDEX_URL|"
    r"INDEX_\w+_(?:USERNAME|PASSWORD)|INSECURE_HOST|KEYRING_PROVIDER|NATIVE_TLS|NO_CACHE|NO_CONFIG|CONFIG_FILE|"
    r"NO_INDEX|OFFLINE|REQUEST_TIMEOUT|SYSTEM_CERTS)"
)
_OF_OTHERS = re.compile(r"(?:UV_|PYTHON|PIP_|_?CONDA_|VIRTUAL_ENV|RUST_|FORCE_COLOR|CLICOLOR|_*PYVENV_).*")
_PATHS = ("UV_CACHE_DIR", "UV_CONFIG_FILE", "UV_CREDENTIALS_DIR")
_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")
# Where uv would write in place of the layer.
_PLACES = ("target", "prefix")


def variables_of_uv(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that uv gets, for a working folder of its own.

    Args:
        variables: Such as `os.environ`; relative paths are of the caller's working folder.
    """
    kept = {
        name: value
        for name, value in variables.items()
        if _PASSED_ON.fullmatch(name) or not _OF_OTHERS.fullmatch(name)
    }
    for name in _PATHS:
        if kept.get(name):
            kept[name] = str(Path(kept[name]).absolute())
    for name in _INDEXES:
        if name in kept:
            kept[name] = " ".join(absolute_index(text) for text in kept[name].split())
    return kept


def absolute_index(text: str) -> str:
    """Return an index, a URL or a folder that may have a name before it, for any working folder."""
    name, separator, place = text.rpartition("=") if "://" not in text else ("", "", text)
    return text if "://" in place else f"{name}{separator}{Path(place).absolute()}"


def check_configuration(variables: Mapping[str, str]) -> None:
    """Refuse a user's or the system's configuration of uv that would write elsewhere than into the layer.

    Args:
        variables: Such as `os.environ`.

    Raises:
        LayerUvError: There is such a setting.
    """
    for path in _files(variables):
        try:
            contents = tomllib.loads(path.read_text("utf-8"))
        except (OSError, ValueError):  # uv has its own words for a file that it needs and cannot read
            continue
        pip = contents.get("pip", {})
        for name in _PLACES:
            if isinstance(pip, dict) and name in pip:
                raise LayerUvError(
                    f"{path}: `{name}` of [pip] is {pip[name]!r}: uv would install there, and not into the "
                    "layer; remove it, or set UV_NO_CONFIG=1"
                )


def _files(variables: Mapping[str, str]) -> list[Path]:
    if variables.get("UV_CONFIG_FILE"):
        return [Path(variables["UV_CONFIG_FILE"])]
    if variables.get("UV_NO_CONFIG"):
        return []
    homes = [variables.get("XDG_CONFIG_HOME") or str(Path(variables.get("HOME", "/"), ".config"))]
    systems = (variables.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    return [Path(folder, "uv", "uv.toml") for folder in (*homes, *systems, "/etc") if folder]
