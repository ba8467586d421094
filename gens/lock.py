"""Reads and writes locks, which pin each wheel of an environment or toolkit by its SHA-256.

The format is pip's requirements file (https://pip.pypa.io/en/stable/reference/requirements-file-format/),
narrowed so that each lock has exactly one text. Comments hold what only Monobase reads: the header, and the
file name and size of each wheel.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from gens.errors import LockError
from gens.generation import generation_directory_name

_HEADER = re.compile(r"# (?P<key>[a-z]+): (?P<value>\S.*)")
_OPTION = re.compile(r"--(?P<option>index-url|extra-index-url) (?P<url>\S+)")
_WHEEL = re.compile(
    r"(?P<name>[^\s=]+)==(?P<version>\S+) --hash=sha256:(?P<sha256>\S+)  # (?P<filename>\S+) (?P<size>\S+)"
)
_RESOLVER = re.compile(r"(?P<resolver>[^,]+), exclude-newer (?P<exclude_newer>\S+)")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Bounded, as Python refuses to parse numbers of more than 4,300 digits.
_GENERATION = re.compile(r"g(?P<id>[0-9]{5}|[1-9][0-9]{5,14})")
_SIZE = re.compile(r"[1-9][0-9]{0,14}")
_BUT = ", but not "
_TARGET = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]*")
_PIN = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*==[A-Za-z0-9.+!]+")
_WHEEL_FORM = "NAME==VERSION --hash=sha256:DIGEST  # WHEEL-FILE-NAME SIZE-IN-BYTES"


@dataclass(frozen=True, slots=True)
class LockedWheel:
    """One wheel of a lock.

    Attributes:
        name: Normalized name of the package (PEP 503), such as `nvidia-cublas-cu12`.
        version: Version (PEP 440) as the index gives it, such as `2.4.1+cu118`.
        sha256: Digest of the wheel file, 64 lower-case hex digits.
        filename: Name of the wheel file.
        size_bytes: Size of the wheel file.
    """

    name: str
    version: str
    sha256: str
    filename: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Lock:
    """The lock of one environment or toolkit.

    Attributes:
        generation_id: ID of its generation.
        kind: Whether the target is an environment or a toolkit.
        target: Name of the target, such as `python3.11-torch2.4.1-cu121` or `cuda12.4`.
        inputs: Digest of the inputs of the resolution (`Inputs.digest`).
        resolver: Program and version that resolved it, such as `uv 0.13.9`.
        exclude_newer: Time bound of the resolution.
        wheels: The wheels, in order of their names.
        index_url: Index in place of the default one, or None.
        extra_index_urls: Indexes beside the default one.
        base: Of a stack: name of the environment whose pins it keeps where it can; else None.
        conflicts: Of a stack: the pins of its base that it cannot keep, such as `numpy==2.5.0`, by name.
    """

    generation_id: int
    kind: Literal["environment", "toolkit"]
    target: str
    inputs: str
    resolver: str
    exclude_newer: str
    wheels: tuple[LockedWheel, ...]
    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    base: str | None = None
    conflicts: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Size of all wheel files, in bytes."""
        return sum(wheel.size_bytes for wheel in self.wheels)


def format_lock(lock: Lock) -> str:
    """Return the text of a lock, in the one form that `parse_lock` accepts.

    Args:
        lock: The lock; the order of its wheels does not matter.

    Returns:
        The text, with a newline at its end.
    """
    lines = [
        f"# generation: {generation_directory_name(lock.generation_id)}",
        f"# {lock.kind}: {lock.target}",
        f"# inputs: {lock.inputs}",
        f"# resolver: {lock.resolver}, exclude-newer {lock.exclude_newer}",
    ]
    if lock.base is not None:
        lines.append(f"# base: {lock.base}{_BUT if lock.conflicts else ''}{', '.join(lock.conflicts)}")
    return join_lines(lines, lock.index_url, lock.extra_index_urls, lock.wheels)


def join_lines(
    header: Iterable[str],
    index_url: str | None,
    extra_index_urls: Iterable[str],
    wheels: Iterable[LockedWheel],
) -> str:
    """Return the text of a lock: its header, indexes and wheels, these in order of their names.

    Args:
        header: Lines of the header.
        index_url: Index in place of the default one, or None.
        extra_index_urls: Indexes beside the default one.
        wheels: The wheels, in any order.
    """
    lines = [*header]
    lines += [] if index_url is None else [f"--index-url {index_url}"]
    lines += [f"--extra-index-url {url}" for url in extra_index_urls]
    lines += _wheel_lines(wheels)
    return "\n".join(lines) + "\n"


def _wheel_lines(wheels: Iterable[LockedWheel]) -> Iterator[str]:
    for wheel in sorted(wheels, key=lambda wheel: wheel.name):
        pin = f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}"
        yield f"{pin}  # {wheel.filename} {wheel.size_bytes}"


def parse_lock(text: str, path: Path) -> Lock:
    """Parse a lock; accept only what `format_lock` writes.

    Args:
        text: Content of the file.
        path: File that it was read from, for messages.

    Returns:
        The lock.

    Raises:
        LockError: A line is malformed, missing, duplicate or out of order; the message names file and line.
    """
    reader = LockReader(path, text)
    generation_id = reader.generation()
    kind, target = reader.kind_and_target()
    inputs = reader.digest("inputs")
    resolver, exclude_newer = reader.resolver()
    base, conflicts = reader.base()
    index_url, extra_index_urls = reader.indexes()
    wheels = tuple(reader.wheels())
    if not wheels:
        raise reader.error("the lock has no wheel: the file is cut off")
    lock = Lock(
        generation_id=generation_id,
        kind=kind,
        target=target,
        inputs=inputs,
        resolver=resolver,
        exclude_newer=exclude_newer,
        wheels=wheels,
        index_url=index_url,
        extra_index_urls=extra_index_urls,
        base=base,
        conflicts=conflicts,
    )
    if format_lock(lock) != text:
        raise reader.error("the file does not end with exactly one newline")
    return lock


class LockReader:
    """Reads the lines of a lock in order, and knows the current line for messages.

    Each method reads from the current line on. If that line is another one, it raises a `LockError` with file
    and line.
    """

    def __init__(self, path: Path, text: str) -> None:
        """Start at the first line.

        Args:
            path: File that the text was read from, for messages.
            text: Content of the file.
        """
        self._path = path
        self._lines = text.removesuffix("\n").split("\n")
        self._position = 0

    def error(self, message: str) -> LockError:
        """Return an error about the line that was read last."""
        return LockError(f"{self._path}:{max(self._position, 1)}: {message}")

    def header(self, key: str) -> str:
        """Read the value of a line `# key: value`."""
        found = _HEADER.fullmatch(self._next(f"'# {key}: …'"))
        if found is None or found["key"] != key:
            raise self.error(f"expected '# {key}: …', found {self._lines[self._position - 1]!r}")
        return found["value"]

    def headers(self, key: str) -> Iterator[str]:
        """Read the values of all lines `# key: value` in a row; there may be none."""
        while self._position < len(self._lines) and self._lines[self._position].startswith(f"# {key}: "):
            yield self.header(key)

    def generation(self) -> int:
        """Read the ID of a generation."""
        generation = self.header("generation")
        found = _GENERATION.fullmatch(generation)
        if found is None:
            raise self.error(f"generation is {generation!r}, not of the form g00003")
        return int(found["id"])

    def digest(self, key: str) -> str:
        """Read a SHA-256 with `sha256:` in front."""
        value = self.header(key)
        if _DIGEST.fullmatch(value) is None:
            raise self.error(f"{key} is {value!r}, not sha256: and 64 lower-case hex digits")
        return value

    def resolver(self) -> tuple[str, str]:
        """Read the name of the resolver, and its time bound."""
        found = _RESOLVER.fullmatch(self.header("resolver"))
        if found is None:
            raise self.error("resolver is not of the form 'uv 0.13.9, exclude-newer 2026-11-01T00:00:00Z'")
        return found["resolver"], found["exclude_newer"]

    def kind_and_target(self) -> tuple[Literal["environment", "toolkit"], str]:
        """Read the kind and the name of a target."""
        line = self._next("'# environment: …' or '# toolkit: …'")
        found = _HEADER.fullmatch(line)
        if found is not None and found["key"] == "environment":
            return "environment", found["value"]
        if found is not None and found["key"] == "toolkit":
            return "toolkit", found["value"]
        raise self.error(f"expected '# environment: …' or '# toolkit: …', found {line!r}")

    def base(self) -> tuple[str | None, tuple[str, ...]]:
        """Return the base of a stack, and the pins of it that the stack does not keep."""
        if self._position == len(self._lines) or not self._lines[self._position].startswith("# base: "):
            return None, ()
        name, but, pins = self.header("base").partition(_BUT)
        conflicts = tuple(pins.split(", ")) if but else ()
        if _TARGET.fullmatch(name) is None or not all(map(_PIN.fullmatch, conflicts)):
            raise self.error(f"expected '# base: ENVIRONMENT{_BUT}NAME==VERSION, …'")
        return name, conflicts

    def indexes(self) -> tuple[str | None, tuple[str, ...]]:
        """Read the index in place of the default one, or None, and the indexes beside it."""
        index_url: str | None = None
        extra_index_urls: list[str] = []
        while (option := self._option()) is not None:
            if option["option"] == "extra-index-url":
                extra_index_urls.append(option["url"])
            elif index_url is None and not extra_index_urls:
                index_url = option["url"]
            else:
                raise self.error("--index-url stands once, before any --extra-index-url")
        return index_url, tuple(extra_index_urls)

    def _option(self) -> re.Match[str] | None:
        if self._position == len(self._lines):
            return None
        found = _OPTION.fullmatch(self._lines[self._position])
        if found is not None:
            self._position += 1
        return found

    def wheels(self) -> Iterator[LockedWheel]:
        """Read all remaining lines as wheels."""
        previous = ""
        while self._position < len(self._lines):
            wheel = self._wheel(self._next("a wheel"))
            if wheel.name == previous:
                raise self.error(f"{wheel.name} is pinned twice")
            if wheel.name < previous:
                raise self.error(
                    f"{wheel.name} stands after {previous}: wheels stand in order of their names"
                )
            previous = wheel.name
            yield wheel

    def _wheel(self, line: str) -> LockedWheel:
        if line.count("--hash=") > 1:
            raise self.error("two hashes: a lock pins the one wheel that its target uses")
        found = _WHEEL.fullmatch(line)
        if found is None:
            raise self.error(f"expected {_WHEEL_FORM!r}, found {line!r}")
        name, version, filename = found["name"], found["version"], found["filename"]
        if name != canonicalize_name(name):
            raise self.error(f"{name!r} is not a normalized name; write {canonicalize_name(name)!r}")
        if _SHA256.fullmatch(found["sha256"]) is None:
            raise self.error(f"the hash of {name} is {found['sha256']!r}, not 64 lower-case hex digits")
        if "/" in filename or not filename.isprintable():
            raise self.error(f"{filename!r} is not the name of a file")
        if _SIZE.fullmatch(found["size"]) is None:
            raise self.error(f"the size of {name} is {found['size']!r}, not a number of bytes")
        try:
            wheel_name, wheel_version, _, _ = parse_wheel_filename(filename)
            pinned = Version(version)
        except (
            InvalidWheelFilename,
            InvalidVersion,
            ValueError,
        ) as error:  # a version component may have too many digits
            raise self.error(f"{filename} of version {version}: {error}") from error
        if (wheel_name, wheel_version) != (name, pinned):
            raise self.error(f"{filename} is not a wheel of {name} {version}")
        return LockedWheel(name, version, found["sha256"], filename, int(found["size"]))

    def _next(self, expected: str) -> str:
        if self._position == len(self._lines):
            raise self.error(f"the file ends where {expected} was expected")
        self._position += 1
        return self._lines[self._position - 1]
