"""The list of the bytecode of one wheel for one interpreter.

Format of `wheels/WHEEL-SHA256.KEY.pyc.gz`: a file of lines (`daemon/prefix/line_file.py`), the first of
which is `monobase-bytecode 1`; then `SOURCE-SHA256 SHA256 SIZE PATH`, sorted by path; `PATH` is that of
the `.pyc` file, relative to site-packages.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import DamageError
from daemon.host.durability import sync_directory, sync_filesystem, write_new_file
from daemon.prefix.inventory import Inventory, InventoryFile
from daemon.prefix.line_file import format_lines, read_lines
from daemon.prefix.mending import remove_anything
from daemon.prefix.prefix import Prefix
from daemon.prefix.staging import temporary_path

_KIND = "bytecode"


@dataclass(frozen=True, slots=True)
class BytecodeFile:
    """One compiled source.

    Attributes:
        path: Of the `.pyc` file, relative to site-packages.
        source_sha256: Digest of the source, which names the shared bytecode.
        sha256: Digest of the bytecode.
        size_bytes: Its size.
    """

    path: str
    source_sha256: str
    sha256: str
    size_bytes: int


def bytecode_of(path: str, cache_tag: str) -> str:
    """Return the path of a source's bytecode.

    Args:
        path: Path of the source, which ends with `.py`.
        cache_tag: Such as `cpython-311`.
    """
    directory, _, name = path.rpartition("/")
    return f"{directory}/__pycache__/{name[:-3]}.{cache_tag}.pyc".lstrip("/")


def compiled_sources(inventory: Inventory, cache_tag: str) -> Iterator[tuple[str, InventoryFile]]:
    """Yield the path of the bytecode of each source of a wheel, and the source.

    Bytecode that the wheel brings is part of what its lock pins, and is not made.
    """
    brought = {file.path for file in inventory.files if file.path.endswith(".pyc")}
    for file in inventory.installed_as_is():
        if file.path.endswith(".py") and (path := bytecode_of(file.path, cache_tag)) not in brought:
            yield path, file


def bytecode_list_path(prefix: Prefix, wheel_sha256: str, key: str) -> Path:
    """Return the path of the bytecode list of a wheel for an interpreter."""
    return prefix.wheels / f"{wheel_sha256}.{key}.pyc.gz"


def bytecode_path(prefix: Prefix, key: str, source_sha256: str, sha256: str) -> Path:
    """Return the path of the shared bytecode of a source for an interpreter.

    Args:
        prefix: The prefix.
        key: What the interpreter's bytecode is kept under.
        source_sha256: Digest of the source.
        sha256: Digest of the bytecode itself.
    """
    return prefix.bytecode / key / source_sha256[:2] / f"{source_sha256}-{sha256}.pyc"


def format_bytecode_list(files: list[BytecodeFile]) -> bytes:
    """Write a list; the same list gives the same text.

    Raises:
        ValueError: A path holds a line break.
    """
    return format_lines(
        _KIND,
        (
            f"{file.source_sha256} {file.sha256} {file.size_bytes} {file.path}"
            for file in sorted(files, key=lambda file: file.path)
        ),
    )


def read_bytecode_list(prefix: Prefix, wheel_sha256: str, key: str) -> list[BytecodeFile] | None:
    """Read a list.

    Returns:
        The bytecode, or None when the wheel was not compiled for that interpreter.

    Raises:
        DamageError: The file is malformed.
        NewerFormatError: A newer release has written it.
    """
    path = bytecode_list_path(prefix, wheel_sha256, key)
    try:
        lines = read_lines(path, _KIND)
    except FileNotFoundError:
        return None
    files = []
    try:
        for line in lines:
            source_sha256, sha256, size, name = line.split(" ", 3)
            files.append(BytecodeFile(name, source_sha256, sha256, int(size)))
    except ValueError as error:
        raise DamageError(f"{path}: is damaged: {error}; `verify --repair` rebuilds it") from error
    return files


def keep_bytecode_lists(prefix: Prefix, lists: Iterable[tuple[str, str, bytes]]) -> None:
    """Write lists, all of them durable before the first has its name.

    Args:
        prefix: The prefix, with its staging folder.
        lists: Digest of the wheel, key and content of each (`format_bytecode_list`).
    """
    staged = []
    for wheel_sha256, key, content in lists:
        path = temporary_path(prefix.staging)
        write_new_file(path, content)
        staged.append((path, bytecode_list_path(prefix, wheel_sha256, key)))
    if not staged:
        return
    sync_filesystem(prefix.root)
    for path, final in staged:
        if final.is_dir():
            remove_anything(final)
        path.rename(final)
    sync_directory(prefix.wheels)
