"""The folder of a generation in the source tree: its locks, replaced all at once or not at all."""

import difflib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from gens.errors import LockError


def read_locks(directory: Path) -> dict[str, str]:
    """Read the text of each lock.

    Args:
        directory: Folder of the generation, such as `gens/g00003`.

    Returns:
        Text by path in that folder, such as `aarch64/python3.12.txt`; empty if the folder does not exist.

    Raises:
        LockError: A file cannot be read.
    """
    _put_back(directory)
    try:
        return {
            path.relative_to(directory).as_posix(): path.read_bytes().decode()
            for pattern in ("*.txt", "*/*.txt")
            for path in sorted(directory.glob(pattern))
        }
    except (OSError, UnicodeDecodeError) as error:
        raise LockError(f"{directory}: a lock cannot be read: {error}") from error


def replace_locks(directory: Path, locks: Mapping[str, str]) -> None:
    """Replace all locks of a generation by these.

    All are first written to a folder beside it, so that an interruption leaves the old or the new locks.

    Args:
        directory: Folder of the generation.
        locks: Text by path in it.

    Raises:
        LockError: The folder cannot be written.
    """
    staging, old = _beside(directory, "new"), _beside(directory, "old")
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        for name, text in locks.items():
            (staging / name).parent.mkdir(exist_ok=True)
            (staging / name).write_bytes(text.encode())
        if directory.exists():
            shutil.rmtree(old, ignore_errors=True)
            directory.rename(old)
        staging.rename(directory)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        shutil.rmtree(staging, ignore_errors=True)
        raise LockError(f"{directory}: cannot be written: {error}") from error
    finally:
        _put_back(directory)


def diff_locks(directory: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """Yield the differences of two states of a generation's locks.

    Args:
        directory: Name of its folder, for the headings.
        before: Text by path in it.
        after: Text by path in it.

    Yields:
        The lines of a unified diff, with their newlines.
    """
    for name in sorted(before.keys() | after.keys()):
        path = f"gens/{directory}/{name}"
        yield from difflib.unified_diff(
            before.get(name, "").splitlines(keepends=True),
            after.get(name, "").splitlines(keepends=True),
            f"a/{path}" if name in before else "/dev/null",
            f"b/{path}" if name in after else "/dev/null",
            n=0,
        )


def _put_back(directory: Path) -> None:
    """Undo a replacement of locks that was interrupted between its two renames."""
    old = _beside(directory, "old")
    if old.exists() and not directory.exists():
        old.rename(directory)


def _beside(directory: Path, purpose: str) -> Path:
    return directory.parent / f".{directory.name}.{purpose}"
