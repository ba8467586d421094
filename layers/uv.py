"""Installs the wheels of a lock into an empty folder, with uv."""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import uv as uv_package
from packaging.utils import canonicalize_name

from gens.lock import LockedWheel
from gens.redaction import remember, without_learnt
from layers.child import run_children
from layers.errors import LayerDiskError, LayerIndexError, LayerUvError, LayerWheelError
from layers.lock import LayerLock
from layers.uv_settings import absolute_index, check_configuration, variables_of_uv

_MISMATCH = re.compile(
    r"Hash mismatch for `(?P<wheel>[^`]+)`\s+Expected:\s+(?P<expected>(?:sha256:\w+\s+)+)"
    r"Computed:\s+sha256:(?P<found>\w+)"
)
_NO_SPACE = re.compile(r"No space left on device|Disk quota exceeded|os error (?:28|122)\)", re.IGNORECASE)
_FULL = re.compile(r"`(?P<path>/[^`\n]+)`: (?:No space left|Disk quota)", re.IGNORECASE)
_NO_WRITE = re.compile(r"Read-only file system|Permission denied|os error (?:13|30)\)", re.IGNORECASE)
_NETWORK = re.compile(
    r"error sending request|client error|dns error|timeout|timed out|request or response body|"
    r"Network connectivity is disabled|HTTP status|No solution found|"
    r"not found in the (?:package registry|provided)",
    re.IGNORECASE,
)
_MALFORMED = re.compile(
    r"invalid zip|Failed to (?:read|extract|unzip|install)|end of central directory|RECORD|wheel is invalid",
    re.IGNORECASE,
)
# uv writes the path of the interpreter that it is given into scripts. `layers.commands` knows it again by the
# folder, which no script of a wheel names.
INTERPRETER_FOLDER = "monobase-layer-"
_LINES = 12
_LINE_CHARACTERS = 500
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_PASSWORD = re.compile(r"(\w://)[^/\s]+@")  # which may have an @ itself


@dataclass(frozen=True, slots=True)
class WheelSources:
    """The places that wheels come from.

    Attributes:
        folders: Folders with wheels, which come first.
        index_url: Index in place of the one of the lock, or None. Where neither names one, uv's settings do.
        offline: Use the folders and uv's cache only.
    """

    folders: tuple[Path, ...] = ()
    index_url: str | None = None
    offline: bool = False


def install_wheels(
    lock: LayerLock, wheels: Sequence[LockedWheel], target: Path, sources: WheelSources
) -> Path:
    """Install wheels into a folder, as `pip install --prefix` does.

    Args:
        lock: The lock.
        wheels: The wheels to install, of this lock.
        target: The folder, made if it does not exist, in one that is removed afterwards.
        sources: Where the wheels come from.

    Returns:
        The site-packages, in a folder `lib/pythonX.Y` of whichever Python uv has.

    Raises:
        LayerWheelError: A wheel is not the one that the lock names, or cannot be unpacked.
        LayerIndexError: An index does not answer, or lacks a wheel.
        LayerDiskError: The disk is full, or cannot be written to.
        LayerUvError: uv cannot be run, or failed for another reason.
    """
    # Beside the target: what removes that after a kill removes this.
    check_configuration(os.environ)
    with tempfile.TemporaryDirectory(prefix=INTERPRETER_FOLDER, dir=target.absolute().parent) as scratch:
        interpreter = Path(scratch, "python")
        interpreter.symlink_to(Path(sys.executable).resolve())
        requirements = Path(scratch, "requirements.txt")
        requirements.write_text(
            "".join(f"{it.name}=={it.version} --hash=sha256:{it.sha256}\n" for it in wheels)
        )
        command = [
            *(_program(), "--quiet", "--no-progress", "--color", "never", "pip", "install"),
            *(
                "--prefix",
                target.absolute(),
                "--python",
                interpreter,
                "--no-python-downloads",
                "--requirements",
                requirements,
            ),
            *("--python-version", lock.python, "--python-platform", lock.platform),
            *("--no-deps", "--require-hashes", "--no-build", "--no-compile-bytecode", "--reinstall"),
            *("--link-mode", "copy"),
            *_places(lock, wheels, sources),
        ]
        # The nearest configuration of a project: with it, uv looks for none above.
        Path(scratch, "uv.toml").touch()
        _run([str(word) for word in command], target, scratch)
    if (target / ".lock").is_file() and (target / ".lock").stat().st_size == 0:
        (target / ".lock").unlink()
    _check_completeness(wheels, target)
    # A wheel may have data in a folder of that kind.
    found = sorted({path.parent for path in target.glob("lib/python*/site-packages/*.dist-info")})
    if len(found) != 1:
        raise LayerUvError(f"uv installed into {[str(path) for path in found]}, not into one site-packages")
    return found[0]


def _check_completeness(wheels: Iterable[LockedWheel], target: Path) -> None:
    """Refuse an installation without some of the wheels: a user's configuration of uv may leave them out."""
    made = {
        canonicalize_name(path.name.partition("-")[0])
        for path in target.glob("lib/python*/site-packages/*.dist-info")
    }
    missing = sorted({wheel.name for wheel in wheels} - made)
    if missing:
        raise LayerUvError(
            f"uv left out {', '.join(missing)}, which the lock names; its configuration may do that "
            "(`exclude-dependencies`, `override-dependencies` of a uv.toml): remove it, or set UV_NO_CONFIG=1"
        )


def _program() -> str:
    found = shutil.which("uv")
    if found is not None:
        return found
    try:
        return uv_package.find_uv_bin()
    except FileNotFoundError as error:
        raise LayerUvError(f"uv is not installed: {error}; install it, or put it on the PATH") from error


def _places(lock: LayerLock, wheels: Iterable[LockedWheel], sources: WheelSources) -> list[str | Path]:
    words: list[str | Path] = []
    for folder in sources.folders:
        words += ["--find-links", folder.absolute()]
    if sources.offline:
        words.append("--offline")
    if all(any((folder / it.filename).is_file() for folder in sources.folders) for it in wheels):
        return [*words, "--no-index"]
    if sources.index_url is not None:
        return [*words, "--default-index", absolute_index(sources.index_url)]
    if lock.index_url is not None:
        words += ["--default-index", _expanded(lock.index_url)]
    for url in lock.extra_index_urls:
        words += ["--index", _expanded(url)]
    # Safe with hashes: a wheel of another index than the one that was locked has to be the same.
    return [*words, "--index-strategy", "unsafe-best-match"]


def _expanded(url: str) -> str:
    """Return the URL of an index with the values of its variables, which a lock does not have: `${TOKEN}`."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name not in os.environ:
            raise LayerIndexError(f"{url}: the variable {name} is not set; set it, or name an index")
        remember(os.environ[name])
        return os.environ[name]

    return _VARIABLE.sub(value, url)


def _run(command: list[str], target: Path, folder: str) -> None:
    try:
        [done] = run_children(command, [b""], variables=variables_of_uv(os.environ), folder=folder)
    except OSError as error:
        raise LayerUvError(f"{command[0]}: cannot be run: {error.strerror}") from error
    if done.code != 0:
        raise _failure(done.code, done.said, target)


def _failure(
    code: int, said: str, target: Path
) -> LayerDiskError | LayerWheelError | LayerIndexError | LayerUvError:
    said = without_learnt(_PASSWORD.sub(r"\1***@", said))
    lines = said.replace(f"{target.absolute()}/", "").strip().splitlines()[-_LINES:]
    shown = "\n".join(line[:_LINE_CHARACTERS] for line in lines)
    mismatch = _MISMATCH.search(said)
    if mismatch is not None:
        expected = " or ".join(mismatch["expected"].split())
        return LayerWheelError(
            f"{mismatch['wheel']}: the index serves another file than the lock names: expected {expected}, "
            f"found sha256:{mismatch['found']}; correct the index, or find out who changed the wheel"
        )
    if _NO_SPACE.search(said):
        named = _FULL.search(said)  # of uv's cache, perhaps
        full = target if named is None else Path(named["path"])
        return LayerDiskError(f"{full}: the disk is full{room(full)}; make room; uv said: {shown}")
    if code < 0:
        return LayerUvError(f"uv was ended by signal {-code}; was there too little memory? It said: {shown}")
    if _NETWORK.search(said):
        return LayerIndexError(f"the wheels cannot be fetched: {shown}")
    if _NO_WRITE.search(said):
        return LayerDiskError(f"{target}: cannot be written to; uv said: {shown}")
    if _MALFORMED.search(said):
        return LayerWheelError(f"a wheel cannot be unpacked: {shown}")
    return LayerUvError(f"uv failed with exit code {code}: {shown}")


def room(path: Path) -> str:
    """Return the free bytes and inodes of the file system of a path, in brackets; empty if unknown."""
    for place in (path, *path.parents):
        try:
            found = os.statvfs(place)
        except OSError:
            continue
        return f" ({found.f_bavail * found.f_frsize:,} bytes and {found.f_favail:,} inodes are free)"
    return ""
