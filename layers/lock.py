"""Reads and writes layer locks, which pin each wheel that a model adds to an environment.

Format 1. As in the lock of an environment (`gens/lock.py`), each layer lock has exactly one text: a header,
`--index-url` and `--extra-index-url` for indexes other than the default one, and a line for each wheel.

    # layer: 1
    # generation: g00002
    # environment: python3.12-torch2.13.0-cu130
    # base: sha256:…             SHA-256 of the text of the environment's lock
    # content: sha256:…          digest of the set of the base's wheels (`content_digest`); may be missing
    # python: 3.12.13            version of the base's interpreter; may be missing
    # platform: x86_64-manylinux_2_34
    # inputs: sha256:…           digest of all that decides the resolution
    # resolver: uv 0.13.9, exclude-newer 2026-11-26T00:00:00Z
    # source: requirements.in    each file that was read, relative to the folder of the lock
    # extra: NAME                each extra of a pyproject.toml that was asked for
    # group: NAME                each dependency group
    # option: -c constraints.txt   each file of constraints and each index of the command line
    # requirement: numba>=0.60   each requirement, in the order of the sources
    # constraint: click<9        each constraint
    # allowed: numpy             each package that may differ from the base (`--override`)
    # override: numpy==1.26.4, the base has 2.5.0
    # built: mylib==1.0, from ./mylib sha256:…
    # wheels: 62, 91203117 bytes
    numba==0.60.0 --hash=sha256:…  # numba-0.60.0-cp312-….whl 3728540

A wheel with a `built` line is on no index: it was built when the lock was made, and lies in the folder
`model.wheels` beside `model.lock`, under its file name. The base has each package that the requirements need
and that has no wheel here. `override` names a package of which the layer has another version than the base.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from gens.errors import LockError
from gens.generation import generation_directory_name
from gens.lock import LockedWheel, LockReader, join_lines

_FORMAT = 1
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_ENVIRONMENT = re.compile(r"python(?P<python>[0-9]{1,3}\.[0-9]{1,3})(-[A-Za-z0-9.+_-]*)?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PYTHON = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?:(?:a|b|rc)[0-9]{1,3})?")
_PLATFORM = re.compile(r"(?P<machine>[a-z0-9_]+)-manylinux_[0-9]{1,3}_[0-9]{1,3}")
_PIN = r"(?P<name>[a-z0-9]+(?:-[a-z0-9]+)*)==(?P<version>[A-Za-z0-9.+!]+)"
_OVERRIDE = re.compile(rf"{_PIN}, the base has (?P<base>[A-Za-z0-9.+!]+)")
_BUILT = re.compile(rf"{_PIN}, from (?P<source>\S.*)")
_WHEELS = re.compile(r"(?P<count>0|[1-9][0-9]{0,6}), (?P<bytes>0|[1-9][0-9]{0,17}) bytes")
_WHEELS_SUFFIX = ".wheels"
_MERGE_CONFLICT = re.compile(r"(?m)^(<<<<<<<|>>>>>>>) ")
# A line of pip's format: an option, a path, or a name with extras, versions, a URL, a marker or a comment.
_REQUIREMENT = re.compile(r"(?m)^(-[a-z-]|\.{0,2}/|[A-Za-z0-9][\w.-]*(\[[^\]]*\])?\s*([=<>!~@;#\\]|$))")


class OtherFileError(LockError):
    """A file that should be a layer lock is something else, which must not be overwritten."""


@dataclass(frozen=True, slots=True)
class Override:
    """A package of the base that a layer replaces on purpose.

    Attributes:
        name: Normalized name.
        version: Version in the layer.
        base_version: Version in the base.
    """

    name: str
    version: str
    base_version: str


@dataclass(frozen=True, slots=True)
class Built:
    """A wheel that was built when the lock was made.

    Attributes:
        name: Normalized name.
        version: Version.
        source: The source, in words for people: a Git URL with its commit, a path or a source distribution
            with its digest.
    """

    name: str
    version: str
    source: str


@dataclass(frozen=True, slots=True)
class LayerLock:
    """The lock of a layer.

    Attributes:
        generation_id: ID of the generation of its base.
        environment: Name of the base, such as `python3.12-torch2.13.0-cu130`.
        base: Digest of the base's lock (`lock_digest`).
        platform: Platform of the wheels in uv's words, such as `x86_64-manylinux_2_34`.
        inputs: Digest of the inputs of the resolution, `sha256:` and 64 hex digits.
        resolver: Program and version that resolved it, such as `uv 0.13.9`.
        exclude_newer: Time bound of the resolution.
        wheels: What the base lacks, in order of names; empty if the base has everything.
        sources: Files that the requirements were read from, relative to the folder of the lock.
        extras: Extras of a project that were asked for.
        groups: Dependency groups of a project that were asked for.
        options: Options of the command line that name files of constraints and indexes, without credentials.
        requirements: Requirements, as asked for.
        constraints: Constraints, as asked for.
        allowed: `NAME` or `NAME==VERSION` of packages that may differ from the base, as asked for.
        overrides: Packages of the base that the layer replaces, in order of names.
        built: Those of `wheels` that are on no index, in order of names.
        index_url: Index in place of the default one, or None.
        extra_index_urls: Indexes beside the default one.
        content: Digest of the set of the base's wheels (`content_digest`), or None.
        python_full: Version of the base's interpreter, such as `3.12.13`, or None.
    """

    generation_id: int
    environment: str
    base: str
    platform: str
    inputs: str
    resolver: str
    exclude_newer: str
    wheels: tuple[LockedWheel, ...]
    sources: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    overrides: tuple[Override, ...] = ()
    built: tuple[Built, ...] = ()
    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    content: str | None = None
    python_full: str | None = None

    @property
    def generation(self) -> str:
        """Name of the generation in paths and messages: `g00002`."""
        return generation_directory_name(self.generation_id)

    @property
    def python(self) -> str:
        """Minor version of the interpreter, such as `3.12`."""
        found = _ENVIRONMENT.fullmatch(self.environment)
        return found["python"] if found is not None else ""

    @property
    def machine(self) -> str:
        """Machine of the wheels, as `platform.machine()` names it."""
        return self.platform.partition("-")[0]

    @property
    def size_bytes(self) -> int:
        """Size of all wheel files, in bytes."""
        return sum(wheel.size_bytes for wheel in self.wheels)


def lock_digest(text: str) -> str:
    """Return the digest of the text of a base's lock, as in the line `base`."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def content_digest(wheels: Iterable[LockedWheel]) -> str:
    """Return the digest of a set of wheels, as in the line `content`.

    An installed environment has it in its `.content`: activation compares the two.
    """
    text = "\n".join(sorted(wheel.sha256 for wheel in wheels))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def wheels_directory(path: Path) -> Path:
    """Return the folder of the wheels that were built for a lock: `model.wheels` for `model.lock`."""
    return path.with_suffix(_WHEELS_SUFFIX)


def format_layer_lock(lock: LayerLock) -> str:
    """Return the text of a layer lock, in the one form that `parse_layer_lock` accepts.

    Args:
        lock: The lock; the order of its wheels does not matter.

    Returns:
        The text, with a newline at its end.
    """
    lines = [
        f"# layer: {_FORMAT}",
        f"# generation: {lock.generation}",
        f"# environment: {lock.environment}",
        f"# base: {lock.base}",
    ]
    lines += [] if lock.content is None else [f"# content: {lock.content}"]
    lines += [] if lock.python_full is None else [f"# python: {lock.python_full}"]
    lines += [
        f"# platform: {lock.platform}",
        f"# inputs: {lock.inputs}",
        f"# resolver: {lock.resolver}, exclude-newer {lock.exclude_newer}",
    ]
    lines += [f"# source: {source}" for source in lock.sources]
    lines += [f"# extra: {extra}" for extra in lock.extras]
    lines += [f"# group: {group}" for group in lock.groups]
    lines += [f"# option: {option}" for option in lock.options]
    lines += [f"# requirement: {requirement}" for requirement in lock.requirements]
    lines += [f"# constraint: {constraint}" for constraint in lock.constraints]
    lines += [f"# allowed: {allowed}" for allowed in lock.allowed]
    lines += [
        f"# override: {override.name}=={override.version}, the base has {override.base_version}"
        for override in sorted(lock.overrides, key=lambda override: override.name)
    ]
    lines += [
        f"# built: {built.name}=={built.version}, from {built.source}"
        for built in sorted(lock.built, key=lambda built: built.name)
    ]
    lines.append(f"# wheels: {len(lock.wheels)}, {lock.size_bytes} bytes")
    return join_lines(lines, lock.index_url, lock.extra_index_urls, lock.wheels)


def read_layer_lock(path: Path) -> LayerLock:
    """Read a layer lock.

    Args:
        path: The file, such as `model.lock`.

    Returns:
        The lock.

    Raises:
        OtherFileError: The file is something else than a layer lock.
        LockError: The file is missing, cannot be read, is of a newer format or malformed; the message names
            file and line.
    """
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError as error:
        raise LockError(
            f"{path}: does not exist; `bazel run //tools:layer -- lock requirements.in -o {path.name}`"
            " makes it"
        ) from error
    except IsADirectoryError as error:
        raise LockError(
            f"{path}: is a folder, not a layer lock; name the file, such as {path}/model.lock"
        ) from error
    except OSError as error:
        raise LockError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise OtherFileError(f"{path}: is not text, so not a layer lock; name a lock") from error
    check_kind(text, path)
    return parse_layer_lock(text, path)


def check_kind(text: str, path: Path) -> None:
    """Check that a text begins as a layer lock does, however damaged it is.

    Args:
        text: Content of the file.
        path: File that it was read from, for the message.

    Raises:
        OtherFileError: It is something else; the message says what, and what to name instead.
    """
    if text.startswith("# layer: "):
        if _MERGE_CONFLICT.search(text):
            raise LockError(
                f"{path}: has unmerged changes of Git; take one side, such as "
                f"`git checkout --ours {path.name}`, and lock again"
            )
        return
    raise OtherFileError(f"{path}: {_described(text, path)}")


def _described(text: str, path: Path) -> str:
    begin = f"`bazel run //tools:layer -- lock {path.name} -o model.lock`"
    if not text.strip():
        return "is empty, not a layer lock; lock again, or name another file"
    if "\0" in text:
        return "is not text, so not a layer lock; name a lock"
    if text.startswith("# generation: "):
        return (
            "is the lock of an environment, which layers stand on, not of a layer; name the lock that "
            "`bazel run //tools:layer -- lock` wrote, or the environment with --env"
        )
    if re.search(r"(?m)^(lock-version|version) = |^\[\[?[\w.-]+\]\]?$", text):
        return (
            "is TOML, not a layer lock; export it to requirements.txt, for which "
            "`bazel run //tools:layer -- lock requirements.txt -o model.lock` makes one"
        )
    if _MERGE_CONFLICT.search(text):
        return "has unmerged changes of Git; take one side, and lock again"
    if _REQUIREMENT.search(text):
        return f"is a file of requirements, not a layer lock; {begin} makes one"
    return "is not a layer lock; name the file that `bazel run //tools:layer -- lock` wrote"


def parse_layer_lock(text: str, path: Path) -> LayerLock:
    """Parse a layer lock; accept only what `format_layer_lock` writes.

    Args:
        text: Content of the file.
        path: File that it was read from, for messages.

    Returns:
        The lock.

    Raises:
        LockError: A line is malformed, missing, duplicate or out of order, or the format is newer; the
            message names file and line.
    """
    reader = LockReader(path, text)
    _check_format(reader)
    generation_id = reader.generation()
    environment = _matching(reader, "environment", _ENVIRONMENT, "python3.12-torch2.13.0-cu130")
    base = reader.digest("base")
    content = _optional(reader, "content", _DIGEST, "sha256: and 64 lower-case hex digits")
    python_full = _optional(reader, "python", _PYTHON, "3.12.13")
    platform = _matching(reader, "platform", _PLATFORM, "x86_64-manylinux_2_34")
    inputs = reader.digest("inputs")
    resolver, exclude_newer = reader.resolver()
    sources = tuple(reader.headers("source"))
    extras = tuple(reader.headers("extra"))
    groups = tuple(reader.headers("group"))
    options = tuple(reader.headers("option"))
    requirements = tuple(reader.headers("requirement"))
    constraints = tuple(reader.headers("constraint"))
    allowed = tuple(reader.headers("allowed"))
    overrides = _overrides(reader)
    built = _built(reader)
    counted = _WHEELS.fullmatch(reader.header("wheels"))
    if counted is None:
        raise reader.error("wheels is not of the form '62, 91203117 bytes'")
    index_url, extra_index_urls = reader.indexes()
    lock = LayerLock(
        generation_id=generation_id,
        environment=environment,
        base=base,
        platform=platform,
        inputs=inputs,
        resolver=resolver,
        exclude_newer=exclude_newer,
        wheels=tuple(reader.wheels()),
        sources=sources,
        extras=extras,
        groups=groups,
        options=options,
        requirements=requirements,
        constraints=constraints,
        allowed=allowed,
        overrides=overrides,
        built=built,
        index_url=index_url,
        extra_index_urls=extra_index_urls,
        content=content,
        python_full=python_full,
    )
    if (len(lock.wheels), lock.size_bytes) != (int(counted["count"]), int(counted["bytes"])):
        raise reader.error(
            f"expected {counted['count']} wheels of {counted['bytes']} bytes, found {len(lock.wheels)} of "
            f"{lock.size_bytes} bytes: the file was cut off or edited; lock again"
        )
    _check_pins(reader, lock)
    if format_layer_lock(lock) != text:
        raise reader.error("the file does not end with exactly one newline")
    return lock


def _check_format(reader: LockReader) -> None:
    found = reader.header("layer")
    if _NUMBER.fullmatch(found) is None:
        raise reader.error(f"layer is {found!r}, not the number of a format")
    if int(found) > _FORMAT:
        raise reader.error(
            f"the lock is of format {found}, newer than the format {_FORMAT} that this Monobase reads; "
            "use a newer Monobase, or lock again with this one"
        )


def _matching(reader: LockReader, key: str, form: re.Pattern[str], example: str) -> str:
    value = reader.header(key)
    if form.fullmatch(value) is None:
        raise reader.error(f"{key} is {value!r}, not of the form {example}")
    return value


def _optional(reader: LockReader, key: str, form: re.Pattern[str], example: str) -> str | None:
    values = list(reader.headers(key))
    if not values:
        return None
    if len(values) > 1 or form.fullmatch(values[0]) is None:
        raise reader.error(f"{key} is {values[-1]!r}, not one of the form {example}")
    return values[0]


def _overrides(reader: LockReader) -> tuple[Override, ...]:
    example = "numpy==1.26.4, the base has 2.5.0"
    return tuple(
        Override(found["name"], found["version"], found["base"])
        for found in _pins(reader, "override", _OVERRIDE, example)
    )


def _built(reader: LockReader) -> tuple[Built, ...]:
    return tuple(
        Built(found["name"], found["version"], found["source"])
        for found in _pins(reader, "built", _BUILT, "mylib==1.0, from ./mylib sha256:…")
    )


def _pins(reader: LockReader, key: str, form: re.Pattern[str], example: str) -> Iterator[re.Match[str]]:
    """Read all lines of a key, which begin with a pin."""
    names: list[str] = []
    for value in reader.headers(key):
        found = form.fullmatch(value)
        if found is None:
            raise reader.error(f"{key} is {value!r}, not of the form {example!r}")
        names.append(found["name"])
        _check_order(reader, names)
        yield found


def _check_order(reader: LockReader, names: list[str]) -> None:
    if names[-1] != canonicalize_name(names[-1]) or names[-2:] != sorted(set(names[-2:])):
        raise reader.error(f"{names[-1]}: lines stand once for each package, in order of their names")


def _check_pins(reader: LockReader, lock: LayerLock) -> None:
    """Check that what was overridden or built is among the wheels."""
    versions = {wheel.name: wheel.version for wheel in lock.wheels}
    named = [(override.name, override.version) for override in lock.overrides]
    named += [(built.name, built.version) for built in lock.built]
    for name, version in named:
        found = versions.get(name)
        if found is None or not _is_same(found, version):
            raise reader.error(
                f"the header names {name}=={version}, and the lock has "
                f"{'no wheel of it' if found is None else found}; lock again"
            )


def _is_same(version: str, other: str) -> bool:
    try:
        return Version(version) == Version(other)
    except InvalidVersion:
        return False
