"""The list of what the import of an environment reads, so that it can be read ahead when a model starts.

`monobase/.prefetch/g00003/NAME` lies beside the generations: a sealed tree is never written to. A list is
made once for an environment, by the daemon, and only replaced as a whole; without one, or with a damaged one,
a model starts as ever. Format, UTF-8 text, which the runtime reads as well
(`runtime/prefetch/read_ahead.py`):

    monobase-prefetch 1
    environment g00003/python3.11-torch2.13.0-cu130
    manifest SHA256
    bytes 296680000
    file 0:2801664,3276800:458752 monobase/g00003/python3.11-torch2.13.0-cu130/lib/…/libtorch_cpu.so
    end SHA256

- `manifest` is the digest of the environment's manifest: a list of another tree is made again;
- `bytes` is the sum of all lengths;
- `file` has OFFSET:LENGTH of each part, in bytes, ascending, and the path below the prefix, without links.
  Files are in the order in which an import needs them;
- `end` is the digest of all lines before it: a list without it is incomplete.
"""

import hashlib
import os
import re
from collections.abc import Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import DamageError, NewerFormatError
from daemon.host.durability import DAEMON_SUFFIX, write_file
from daemon.host.plain_file import read_plain_file
from daemon.prefix.line_file import text_digest
from daemon.prefix.manifest import MANIFEST_NAME
from daemon.prefix.mending import make_real_folder, remove_anything
from daemon.prefix.prefix import Prefix

_FOLDER = ".prefetch"
_KIND = "monobase-prefetch"
_VERSION = 1
_FIRST = re.compile(rf"{_KIND} (?P<version>[0-9]{{1,9}})")
_FILE = re.compile(r"file (?P<ranges>[0-9]+:[0-9]+(,[0-9]+:[0-9]+)*) (?P<path>.+)")


@dataclass(frozen=True, slots=True)
class PrefetchFile:
    """The parts of one file that an import reads.

    Attributes:
        path: Its path below the prefix.
        ranges: Offset and length of each part, in bytes.
    """

    path: str
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class PrefetchList:
    """The parts of files that the import of an environment reads.

    Attributes:
        generation: Name of its generation.
        name: Its name.
        manifest_sha256: Digest of its manifest.
        files: The files, in the order in which they are needed.
    """

    generation: str
    name: str
    manifest_sha256: str
    files: tuple[PrefetchFile, ...]

    @property
    def total_bytes(self) -> int:
        """Bytes of all parts."""
        return sum(length for file in self.files for _, length in file.ranges)


def prefetch_path(prefix: Prefix, generation: str, name: str) -> Path:
    """Return the path of the list of an environment."""
    return prefix.generations / _FOLDER / generation / name


def environment_digest(prefix: Prefix, generation: str, name: str) -> str:
    """Return the digest of the manifest of an installed environment.

    Raises:
        OSError: There is none, or it cannot be read.
    """
    return text_digest(prefix.target(generation, name) / MANIFEST_NAME)


def write_prefetch_list(prefix: Prefix, found: PrefetchList) -> None:
    """Put a list in place, complete and durable, instead of any other of that environment.

    Args:
        prefix: The prefix; its folders exist.
        found: The list.

    Raises:
        ValueError: A path or a range cannot stand in a line.
        OSError: It cannot be written.
    """
    path = prefetch_path(prefix, found.generation, found.name)
    make_real_folder(path.parent.parent)
    make_real_folder(path.parent)
    if path.is_dir() and not path.is_symlink():  # no file can be renamed over a folder
        remove_anything(path)
    write_file(path, format_prefetch_list(found).encode("utf-8"), DAEMON_SUFFIX)


def format_prefetch_list(found: PrefetchList) -> str:
    """Return the text of a list.

    Raises:
        ValueError: A path or a range cannot stand in a line.
    """
    lines = [
        f"{_KIND} {_VERSION}",
        f"environment {found.generation}/{found.name}",
        f"manifest {found.manifest_sha256}",
        f"bytes {found.total_bytes}",
    ]
    for file in found.files:
        line = f"file {','.join(f'{offset}:{length}' for offset, length in file.ranges)} {file.path}"
        _parse_file(line)
        lines.append(line)
    text = "".join(f"{line}\n" for line in lines)
    return f"{text}end {hashlib.sha256(text.encode()).hexdigest()}\n"


def read_prefetch_list(prefix: Prefix, generation: str, name: str) -> PrefetchList | None:
    """Read the list of an environment.

    Returns:
        The list; None if there is none.

    Raises:
        DamageError: It is damaged.
        NewerFormatError: A newer release has written it.
    """
    path = prefetch_path(prefix, generation, name)
    try:
        text = read_plain_file(path).decode("utf-8")
        first, _, rest = text.partition("\n")
        version = _FIRST.fullmatch(first)
        if version is None:
            raise ValueError(f"begins with {first[:40]!r}")
        if int(version["version"]) > _VERSION:
            raise NewerFormatError(path, f"prefetch {version['version']}", f"prefetch {_VERSION}")
        found = _parse(rest.splitlines(), text)
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise DamageError(f"{path}: is damaged: {error}; the daemon records it again") from error
    if (found.generation, found.name) != (generation, name):
        raise DamageError(f"{path}: is of {found.generation}/{found.name}; the daemon records it again")
    return found


def keep_prefetch_lists(prefix: Prefix, names: Mapping[str, Set[str]]) -> None:
    """Remove all lists but those of some environments, and what a daemon that was killed left half written.

    Args:
        prefix: The prefix.
        names: Names of environments, by name of the generation.

    Raises:
        OSError: Something cannot be removed.
    """
    top = prefix.generations / _FOLDER
    if top.is_symlink():
        remove_anything(top)
    for generation in _names(top):
        kept = names.get(generation, set())
        for name in _names(top / generation):
            if name not in kept:
                remove_anything(top / generation / name)
        if not kept:
            remove_anything(top / generation)


def _parse(lines: list[str], text: str) -> PrefetchList:
    if len(lines) < 4 or not lines[-1].startswith("end "):
        raise ValueError("is incomplete")
    body = text[: text.rindex("end ")]
    if lines[-1] != f"end {hashlib.sha256(body.encode()).hexdigest()}":
        raise ValueError("has another digest than its last line says")
    values = [line.partition(" ") for line in lines[:3]]
    if [kind for kind, _, _ in values] != ["environment", "manifest", "bytes"]:
        raise ValueError("lacks its environment, its manifest or its bytes")
    (_, _, label), (_, _, digest), _ = values
    generation, _, name = label.partition("/")
    return PrefetchList(generation, name, digest, tuple(_parse_file(line) for line in lines[3:-1]))


def _parse_file(line: str) -> PrefetchFile:
    found = _FILE.fullmatch(line)
    if found is None or not found["path"].isprintable():
        raise ValueError(f"malformed line {line[:80]!r}")
    parts = found["path"].split("/")
    if "" in parts or ".." in parts or "." in parts:
        raise ValueError(f"{found['path']!r} is not a path below the prefix")
    pairs = (item.split(":") for item in found["ranges"].split(","))
    return PrefetchFile(found["path"], tuple((int(offset), int(length)) for offset, length in pairs))


def _names(directory: Path) -> list[str]:
    with suppress(OSError):
        return sorted(os.listdir(directory))  # noqa: PTH208 (names are wanted)
    return []
