"""Finds and reads the machine's configuration files of uv, in uv's order."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from daemon.errors import UvConfigurationError
from daemon.uv.variables import is_true
from gens.redaction import learn


def read_files(variables: Mapping[str, str]) -> list[tuple[Path, dict[str, object]]]:
    """Read the files that uv would read for a folder without a project.

    Args:
        variables: Such as `os.environ`.

    Returns:
        Each with its content, the first before the others.

    Raises:
        UvConfigurationError: One cannot be read, or is malformed.
    """
    return [(path, _read(path)) for path in configuration_files(variables)]


def configuration_files(variables: Mapping[str, str]) -> list[Path]:
    """Return the files that uv would read, the most important one first.

    Args:
        variables: Such as `os.environ`.
    """
    if variables.get("UV_CONFIG_FILE"):
        return [Path(variables["UV_CONFIG_FILE"])]
    if is_true(variables.get("UV_NO_CONFIG")):
        return []
    return [path for path in _discovered(variables) if _can_be_there(path)]


def malformed(path: Path, name: str, what: str) -> UvConfigurationError:
    """Return the error of a setting that has a wrong form.

    Args:
        path: The file.
        name: Name of the setting.
        what: The mistake, such as `is not a table`.
    """
    return UvConfigurationError(
        f"{path}: uv's configuration is malformed: `{name}` {what}; correct the file, or set UV_NO_CONFIG=1"
    )


def _discovered(variables: Mapping[str, str]) -> list[Path]:
    home = variables.get("XDG_CONFIG_HOME", "")
    if not home.startswith("/"):
        home = f"{variables['HOME']}/.config" if variables.get("HOME") else ""
    paths = [Path(home) / "uv" / "uv.toml"] if home else []
    if is_true(variables.get("UV_NO_SYSTEM_CONFIG")):
        return paths
    directories = [*(entry for entry in (variables.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":") if entry)]
    system = [Path(directory) / "uv" / "uv.toml" for directory in directories]
    return [*paths, next((path for path in system if path.is_file()), Path("/etc/uv/uv.toml"))]


def _can_be_there(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return False  # as uv has it
    return True


def _read(path: Path) -> dict[str, object]:
    try:
        contents = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UvConfigurationError(
            f"{path}: uv's configuration cannot be read: {error.strerror}; correct the file or its mode, or "
            "set UV_NO_CONFIG=1"
        ) from error
    except ValueError as error:
        raise UvConfigurationError(
            f"{path}: uv's configuration is malformed: {error}; correct the file, or set UV_NO_CONFIG=1"
        ) from error
    _learn_all(contents)
    return contents


def _learn_all(value: object) -> None:
    if isinstance(value, str):
        learn(value)
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _learn_all(item)
