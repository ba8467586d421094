"""The Python interpreters that environments run on: uv-managed, or the system's where none can be had."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from daemon.durability import sync_filesystem, write_file
from daemon.errors import DiskError, InterpreterError
from daemon.prefix import Prefix
from daemon.uv import Uv, last_lines
from gens.errors import MonobaseError

_DESCRIBE = (
    "import json, platform, sys; print(json.dumps({'version': platform.python_version(), "
    "'tag': sys.implementation.cache_tag, 'path': sys.executable}))"
)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """An interpreter on this machine.

    Attributes:
        executable: Its path.
        version: Its full version, such as `3.11.10`.
        cache_tag: What names its bytecode files, such as `cpython-311`.
        managed: Whether it stands on the prefix.
    """

    executable: Path
    version: str
    cache_tag: str
    managed: bool

    @property
    def minor(self) -> str:
        """Its minor version, such as `3.11`."""
        return minor_of(self.version)

    @property
    def bytecode_key(self) -> str:
        """What its bytecode is kept under: bytecode may differ between patch releases."""
        return f"{self.cache_tag}-{self.version}"


def provide_interpreters(
    uv: Uv, versions: Iterable[str], *, downloads: bool, warn: Callable[[str], None]
) -> tuple[dict[str, Interpreter], dict[str, InterpreterError]]:
    """Find or install an interpreter for each version.

    A managed interpreter of the exact version is preferred; when it cannot be downloaded, an interpreter of
    the system with the same minor version serves, with a warning.

    Args:
        uv: How to run uv.
        versions: Full versions, such as `3.11.10`.
        downloads: Whether to try a download.
        warn: Told about each stand-in.

    Returns:
        The interpreters by the version that was asked for, and why there is none for the others.

    Raises:
        DiskError: The disk is full.
    """
    found: dict[str, Interpreter] = {}
    failures: dict[str, InterpreterError] = {}
    reason = None if downloads else "downloads are switched off"
    for version in sorted(set(versions)):
        interpreter = _managed(uv.prefix, version)
        if interpreter is None and reason is None:
            try:
                interpreter = _install(uv, version)
            except DiskError:
                raise
            except MonobaseError as error:
                # That no host answers is the same for the next version, and is not waited for twice.
                reason = last_lines(str(error), 1).removeprefix("  cause: ")
        if interpreter is None:
            try:
                interpreter = _system(uv, version, reason or "uv installed none")
            except InterpreterError as error:
                failures[version] = error
                continue
            warn(
                f"Python {version} cannot be downloaded ({reason}): the system's {interpreter.executable}, "
                f"{interpreter.version}, serves; models need it at the same path"
            )
        found[version] = interpreter
    return found, failures


def minor_of(version: str) -> str:
    """Give the minor version of a full one: `3.11` of `3.11.10`."""
    return ".".join(version.split(".")[:2])


def describe(executable: Path, *, managed: bool) -> Interpreter:
    """Ask an interpreter what it is.

    Raises:
        InterpreterError: It does not run.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        answer = subprocess.run(
            [executable, "-I", "-S", "-c", _DESCRIBE],
            capture_output=True, text=True, check=True, timeout=60, env=environment,
        )  # fmt: skip
        facts = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise InterpreterError(f"{executable}: does not run: {error}") from error
    # A managed one keeps the prefix's own spelling; a system one may be a shim, and says where it really is.
    path = executable if managed else Path(facts["path"]).resolve()
    return Interpreter(path, facts["version"], facts["tag"], managed)


def _managed(prefix: Prefix, version: str) -> Interpreter | None:
    for directory in sorted(prefix.uv_python.glob(f"cpython-{version}-*")):
        executable = directory / "bin" / f"python{minor_of(version)}"
        if not directory.is_symlink() and executable.exists() and _mark(directory).exists():
            return describe(executable, managed=True)
    return None


def _install(uv: Uv, version: str) -> Interpreter | None:
    # One without a mark was interrupted, or not yet on the disk when the power went: it is made anew.
    unmarked = any(not _mark(path).exists() for path in uv.prefix.uv_python.glob(f"cpython-{version}-*"))
    variables = {"UV_PYTHON_INSTALL_BIN": "0", "UV_HTTP_RETRIES": os.environ.get("UV_HTTP_RETRIES", "1")}
    uv.run("python", "install", *(["--reinstall"] if unmarked else []), version, variables=variables)
    directories = [path for path in uv.prefix.uv_python.glob(f"cpython-{version}-*") if not path.is_symlink()]
    for directory in directories:
        describe(directory / "bin" / f"python{minor_of(version)}", managed=True)
    sync_filesystem(uv.prefix.uv_python)
    for directory in directories:
        write_file(_mark(directory), b"")
    return _managed(uv.prefix, version)


def _mark(directory: Path) -> Path:
    return directory.with_name(f".{directory.name}.complete")


def _system(uv: Uv, version: str, reason: str) -> Interpreter:
    minor = minor_of(version)
    # uv runs every interpreter of the PATH to find one, which takes seconds where shims stand there.
    named = shutil.which(f"python{minor}")
    if named is not None:
        try:
            interpreter = describe(Path(named), managed=False)
        except InterpreterError:
            pass  # a shim of a version manager, for a version that is not installed
        else:
            if interpreter.minor == minor:
                return interpreter
    try:
        path = uv.run(
            "python",
            "find",
            "--no-managed-python",
            "--no-python-downloads",
            "--no-project",
            "--system",
            minor,
        ).stdout.strip()
    except MonobaseError as error:
        raise InterpreterError(
            f"there is no Python {version}: {reason}; nor does the system have a Python {minor}. Let uv "
            "download it (UV_PYTHON_INSTALL_MIRROR and UV_PYTHON_DOWNLOADS_JSON_URL name mirrors), "
            f"or install Python {minor}"
        ) from error
    return describe(Path(path), managed=False)
