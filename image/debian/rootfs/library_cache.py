"""Makes /etc/ld.so.cache and the links by soname, as ldconfig of the GNU C library does, without running it.

ldconfig reads libraries of its own architecture only. This writes the same bytes (the test compares them) for
any architecture: the format `glibc-ld.so.cache1.1` of glibc, without libraries for special processors
(glibc-hwcaps), which no package of the images has.

    header      magic and version, number of libraries, size of the strings, byte order, place of extension
    libraries   flags, places of the name and of the path, 0, 0: from the last name to the first
    strings     sorted by their ends; the end of the string before it needs no bytes of its own
    extension   the program that made the cache
"""

import os
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from image.debian.rootfs.tree import Tree, image_path
from image.elf_file import read_shared_object
from image.errors import ImageError

_CONFIGURATION = "etc/ld.so.conf"
# The folders that Debian's ldconfig searches besides those of the configuration.
_BUILTIN = ("/lib", "/usr/lib")
_LIBRARY = re.compile(r"(?:lib|ld-).*\.so.*")
_NOT_LIBRARIES = ("-gdb.py", ".dpkg-new", ".dpkg-tmp")
_MAGIC = b"glibc-ld.so.cache1.1"
_HEADER = struct.Struct("<20sIIB3xI12x")
_ENTRY = struct.Struct("<iIIIQ")
_EXTENSION = struct.Struct("<IIIIII")
_EXTENSION_MAGIC = 0xEAA42174
_LITTLE_ENDIAN = 2
_PARTS = re.compile(r"[0-9]+|[^0-9]", re.DOTALL)
_MAX_LINKS = 40


@dataclass(frozen=True, slots=True)
class _Library:
    """A library of a folder: the file or link that the loader opens by a name.

    Attributes:
        name: The name.
        file: Name of the file or link in the folder.
        is_link: Whether it is a link, which needs no link by its soname.
    """

    name: str
    file: str
    is_link: bool


def write_library_cache(tree: Tree, maker: str) -> None:
    """Write the cache, and the links by soname that packages leave to ldconfig.

    Args:
        tree: The file system.
        maker: What the cache says of the program that made it.

    Raises:
        ImageError: The configuration cannot be understood, or a link by soname leads to another file.
    """
    found: list[tuple[str, str]] = []
    for folder in _folders(tree):
        for library in _libraries(tree, folder):
            if not library.is_link:
                _link_by_soname(tree, _place(folder), library)
            found.append((library.name, f"{folder}/{library.name}"))
    tree.write("etc/ld.so.cache", format_cache(found, tree.architecture.cache_flags, maker))


def format_cache(libraries: Iterable[tuple[str, str]], flags: int, maker: str) -> bytes:
    """Return the content of a cache.

    Args:
        libraries: Name and path of each library, in the order in which the folders are searched.
        flags: Flags of the libraries.
        maker: What it says of the program that made it.

    Returns:
        The content.
    """
    # The loader looks a name up by bisection. Sorting is stable: of equal names, the first folder's is first.
    ordered = sorted(libraries, key=lambda library: _sort_key(library[0]), reverse=True)
    strings, places = _string_table([text for library in ordered for text in library])
    start = _HEADER.size + _ENTRY.size * len(ordered)
    entries = b"".join(
        _ENTRY.pack(flags, start + places[name], start + places[path], 0, 0) for name, path in ordered
    )
    extension = start + len(strings)
    extension += -extension % 4
    header = _HEADER.pack(_MAGIC, len(ordered), len(strings), _LITTLE_ENDIAN, extension)
    content = header + entries + strings
    content += bytes(extension - len(content))
    text = maker.encode()
    # One section, of tag 0 (the generator), right behind its directory.
    content += _EXTENSION.pack(_EXTENSION_MAGIC, 1, 0, 0, extension + _EXTENSION.size, len(text))
    return content + text


def _string_table(texts: Iterable[str]) -> tuple[bytes, dict[str, int]]:
    """Return the strings, sorted by their ends from the last to the first, and the place of each."""
    table = bytearray()
    places: dict[str, int] = {}
    before = ""
    for text in sorted(set(texts), key=lambda text: text.encode()[::-1], reverse=True):
        if before.endswith(text):
            places[text] = places[before] + len(before) - len(text)
        else:
            places[text] = len(table)
            table += f"{text}\0".encode()
        before = text
    return bytes(table), places


def _sort_key(name: str) -> list[tuple[bool, int]]:
    """Return what the loader compares names by: numbers by their value, and above all other characters."""
    return [(part.isdigit(), int(part) if part.isdigit() else ord(part)) for part in _PARTS.findall(name)]


def _folders(tree: Tree) -> list[str]:
    """Return the folders to search, each once, by its first name: `/lib` is a link to `/usr/lib`."""
    folders: dict[str, str] = {}
    for folder in (*_configured(tree, _CONFIGURATION), *_BUILTIN):
        if tree.path(_place(folder)).is_dir():
            folders.setdefault(_place(folder), folder)
    return list(folders.values())


def _place(folder: str) -> str:
    """Return the path of a folder in the image."""
    return image_path(f"{folder.strip('/')}/").rstrip("/")


def _configured(tree: Tree, name: str) -> Iterator[str]:
    if not tree.path(name).is_file():
        return
    for line in tree.path(name).read_text().splitlines():
        words = line.partition("#")[0].split()
        match words:
            case []:
                continue
            case ["include", pattern]:
                for path in sorted(tree.root.glob(pattern.lstrip("/"))):
                    yield from _configured(tree, str(path.relative_to(tree.root)))
            case [folder] if folder.startswith("/"):
                yield folder.rstrip("/")
            case _:
                raise ImageError(f"/{name}: {line!r} is neither a folder nor an include of files")


def _libraries(tree: Tree, folder: str) -> Sequence[_Library]:
    """Return the libraries of a folder, one for each name."""
    chosen: dict[str, _Library] = {}
    for entry in os.scandir(tree.path(_place(folder))):
        if _LIBRARY.fullmatch(entry.name) is None or entry.name.endswith(_NOT_LIBRARIES):
            continue
        library = _library(tree, entry)
        if library is None:
            continue
        other = chosen.get(library.name)
        if other is None or (not library.is_link, _sort_key(library.file)) > (
            not other.is_link,
            _sort_key(other.file),
        ):
            chosen[library.name] = library
    return [chosen[name] for name in sorted(chosen)]


def _library(tree: Tree, entry: "os.DirEntry[str]") -> _Library | None:
    path = _target(tree, Path(entry.path))
    found = read_shared_object(path) if path is not None and path.is_file() else None
    if found is None or found.elf_machine != tree.architecture.elf_machine:
        return None
    soname = found.soname or entry.name
    # A link is known by its own name if that is the library's, or the one that linkers look for (libx.so).
    if entry.is_symlink() and (
        entry.name == soname or (entry.name.endswith(".so") and soname.startswith(entry.name))
    ):
        return _Library(entry.name, entry.name, is_link=True)
    return _Library(soname, entry.name, is_link=False)


def _target(tree: Tree, path: Path) -> Path | None:
    """Follow links below the root of the image, also absolute ones; return None if they lead nowhere."""
    for _ in range(_MAX_LINKS):
        if not path.is_symlink():
            return path if path.exists() else None
        target = os.path.join(path.parent, os.readlink(path))  # noqa: PTH115, PTH118
        if os.readlink(path).startswith("/"):  # noqa: PTH115
            target = str(tree.path(image_path(os.readlink(path).lstrip("/"))))  # noqa: PTH115
        path = Path(os.path.normpath(target))
    return None


def _link_by_soname(tree: Tree, folder: str, library: _Library) -> None:
    name = f"{folder}/{library.name}"
    if library.name == library.file:
        return
    if not tree.holds(name):
        tree.link(name, library.file)
        return
    if _target(tree, tree.path(name)) != _target(tree, tree.path(f"{folder}/{library.file}")):
        raise ImageError(
            f"/{name}: leads to another file than {library.file}, "
            "the newest library of that soname in its folder"
        )
