"""The manifest of an installed tree: all that is in it, to the byte.

Format of `.manifest`: a file of lines (`daemon/prefix/line_file.py`), whose first is
`monobase-manifest 1`:

- `target NAME` and `content SHA256`: what it is, and the digest of the wheels that it was made from;
- `wheel WHEEL-SHA256 INVENTORY-SHA256 FOLDER`: the files of that inventory stand under FOLDER;
- `bytecode WHEEL-SHA256 KEY LIST-SHA256 FOLDER`: so does the bytecode of that list
  (`daemon/prefix/bytecode_list.py`);
- `file SHA256 SIZE MODE PATH` and `link PATH<tab>TARGET`: everything else.

Inventories are shared by all environments that hold the wheel, so a manifest is small.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from daemon.errors import DamageError
from daemon.host.durability import write_new_file
from daemon.prefix.bytecode_list import bytecode_list_path, read_bytecode_list
from daemon.prefix.inventory import InventoryFile, inventory_path, read_inventory
from daemon.prefix.line_file import format_lines, has_digest, read_lines
from daemon.prefix.prefix import Prefix
from daemon.prefix.record_memory import RecordMemory
from gens.lock import LockedWheel

MANIFEST_NAME = ".manifest"
CONTENT_NAME = ".content"  # of an environment: a file with its `content_digest`, for the runtime
MANIFEST_KIND = "manifest"


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link of a tree."""

    path: str
    target: str


@dataclass(frozen=True, slots=True)
class WheelPart:
    """The files of one wheel, under a folder of the tree."""

    wheel_sha256: str
    inventory_sha256: str
    directory: str


@dataclass(frozen=True, slots=True)
class BytecodePart:
    """The bytecode of one wheel, under a folder of the tree."""

    wheel_sha256: str
    key: str
    list_sha256: str
    directory: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of one tree.

    Attributes:
        target: Name of the environment or toolkit.
        content: Digest of the wheels that it was made from (`content_digest`).
        wheels: The wheels that stand in it as they are.
        bytecode: The bytecode beside them.
        files: All other files.
        links: All symbolic links.
    """

    target: str
    content: str
    wheels: tuple[WheelPart, ...] = ()
    bytecode: tuple[BytecodePart, ...] = ()
    files: tuple[InventoryFile, ...] = ()
    links: tuple[Link, ...] = field(default=())


def content_digest(wheels: Iterable[LockedWheel]) -> str:
    """Digest the set of wheels that a tree is made from: 64 hex digits."""
    return hashlib.sha256("\n".join(sorted(wheel.sha256 for wheel in wheels)).encode()).hexdigest()


def format_manifest(manifest: Manifest) -> bytes:
    """Write a manifest; the same manifest gives the same text.

    Raises:
        ValueError: A path holds what a line cannot carry.
    """
    lines = [f"target {manifest.target}", f"content {manifest.content}"]
    lines += [
        f"wheel {part.wheel_sha256} {part.inventory_sha256} {part.directory}" for part in manifest.wheels
    ]
    lines += [
        f"bytecode {part.wheel_sha256} {part.key} {part.list_sha256} {part.directory}"
        for part in manifest.bytecode
    ]
    lines += [
        f"file {file.sha256} {file.size_bytes} {file.mode:o} {file.path}"
        for file in sorted(manifest.files, key=lambda file: file.path)
    ]
    for link in sorted(manifest.links, key=lambda link: link.path):
        if "\t" in link.path:
            raise ValueError(f"{link.path!r} holds a tab")
        lines.append(f"link {link.path}\t{link.target}")
    return format_lines(MANIFEST_KIND, lines)


def write_manifest(tree: Path, manifest: Manifest) -> None:
    """Write the manifest of a staged tree, which has none.

    Raises:
        FileExistsError: It has one.
        ValueError: A path holds what a line cannot carry.
    """
    write_new_file(tree / MANIFEST_NAME, format_manifest(manifest))


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Args:
        path: The file.

    Returns:
        The manifest.

    Raises:
        DamageError: It is missing or malformed.
        NewerFormatError: A newer release has written it.
    """
    try:
        lines = read_lines(path, MANIFEST_KIND)
    except FileNotFoundError as error:
        raise DamageError(
            f"{path}: the manifest cannot be read: {error.strerror}; `verify --repair` rebuilds it"
        ) from error
    try:
        (one, target), (two, content) = (_fields(line, 2) for line in lines[:2])
        if (one, two) != ("target", "content"):
            raise ValueError(f"it begins with {one!r} and {two!r} instead of 'target' and 'content'")
        wheels, bytecode, files, links = [], [], [], []
        for line in lines[2:]:
            kind, _, rest = line.partition(" ")
            if kind == "wheel":
                wheels.append(WheelPart(*_fields(rest, 3)))
            elif kind == "bytecode":
                bytecode.append(BytecodePart(*_fields(rest, 4)))
            elif kind == "file":
                sha256, size, mode, name = _fields(rest, 4)
                files.append(InventoryFile(name, sha256, int(size), int(mode, 8)))
            elif kind == "link":
                name, separator, link_target = rest.partition("\t")
                if not separator:
                    raise ValueError(f"malformed line {line!r}")
                links.append(Link(name, link_target))
            else:
                raise ValueError(f"malformed line {line!r}")
    except (ValueError, IndexError) as error:
        raise DamageError(
            f"{path}: the manifest is damaged: {error}; `verify --repair` rebuilds it"
        ) from error
    return Manifest(target, content, tuple(wheels), tuple(bytecode), tuple(files), tuple(links))


def expected_files(
    prefix: Prefix, manifest: Manifest, memory: RecordMemory | None = None
) -> dict[str, InventoryFile]:
    """Return each file that a manifest lists, by its path in the tree.

    Args:
        prefix: The prefix.
        manifest: The manifest.
        memory: The inventories and lists that this check has read; None to read each.

    Raises:
        DamageError: An inventory or list that it names is missing or not the one of then.
        NewerFormatError: A newer release has written one of them.
    """
    memory = memory or RecordMemory()
    expected: dict[str, InventoryFile] = {}
    for part in manifest.wheels:
        path = inventory_path(prefix, part.wheel_sha256)
        read = partial(_wheel_files, prefix, part)
        expected |= memory.files(path, part.inventory_sha256, part.directory, read)
    for compiled in manifest.bytecode:
        path = bytecode_list_path(prefix, compiled.wheel_sha256, compiled.key)
        read = partial(_bytecode_files, prefix, compiled)
        expected |= memory.files(path, compiled.list_sha256, compiled.directory, read)
    for file in manifest.files:
        expected[file.path] = file
    return expected


def _wheel_files(prefix: Prefix, part: WheelPart) -> dict[str, InventoryFile]:
    inventory = read_inventory(prefix, part.wheel_sha256)
    _check(inventory_path(prefix, part.wheel_sha256), part.inventory_sha256)
    files = inventory.installed_as_is() if inventory is not None else ()
    paths = ((f"{part.directory}/{file.path}", file) for file in files)
    return {path: InventoryFile(path, file.sha256, file.size_bytes, file.mode) for path, file in paths}


def _bytecode_files(prefix: Prefix, part: BytecodePart) -> dict[str, InventoryFile]:
    listed = read_bytecode_list(prefix, part.wheel_sha256, part.key)
    _check(bytecode_list_path(prefix, part.wheel_sha256, part.key), part.list_sha256)
    paths = ((f"{part.directory}/{file.path}", file) for file in listed or ())
    return {path: InventoryFile(path, file.sha256, file.size_bytes, 0o644) for path, file in paths}


def _check(path: Path, sha256: str) -> None:
    try:
        sound = has_digest(path, sha256)
    except OSError as error:
        raise DamageError(
            f"{path}: cannot be read: {error.strerror}; `verify --repair` rebuilds it"
        ) from error
    if not sound:
        raise DamageError(f"{path}: is damaged; `verify --repair` rebuilds it")


def _fields(text: str, count: int) -> list[str]:
    fields = text.split(" ", count - 1)
    if len(fields) != count:
        raise ValueError(f"malformed line {text!r}")
    return fields
