"""The shape of a mirror: names, paths and formats that its writer and its readers share.

A mirror holds *blobs* by their SHA-256: wheels, and archives of interpreters. It is a repository of an OCI
registry (image-spec v1.1) or a tree of files, which a web server, a bucket, NFS or a disk serves.

Repository: one artifact (an image manifest) for each lock, with the tag of `lock_tag`; its config is a
`LockConfig`, its layers are the wheels. One artifact for each interpreter, with the tag of
`interpreter_tag`; its config is an `InterpreterConfig`, its only layer is the archive. Each layer has the
name of its file in the annotation `org.opencontainers.image.title`.

Tree: `artifacts/TAG.json` (the `LockConfig` of each complete lock), `files/SHA256/FILENAME` (wheels),
`simple/NAME/index.html` (PEP 503), `interpreters/PATH` as uv's `UV_PYTHON_INSTALL_MIRROR` requests it, and
`interpreters/index.json`: an object of `path`, `sha256` and `size` by the key of each interpreter.

Readers ignore keys that they do not know; a change that they must not ignore gets another media type.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import msgspec
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from gens.errors import MirrorError
from gens.generation import generation_directory_name
from gens.lock import Lock, LockedWheel

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
LOCK_TYPE = "application/vnd.monobase.lock.v1+json"
WHEEL_TYPE = "application/vnd.pypi.wheel.v1+zip"
INTERPRETER_TYPE = "application/vnd.monobase.interpreter.v1+json"
TITLE = "org.opencontainers.image.title"

ARTIFACTS = "artifacts"
FILES = "files"
SIMPLE = "simple"
INTERPRETERS = "interpreters"
PAGE = "index.html"
INTERPRETERS_INDEX = f"{INTERPRETERS}/index.json"

_ARCHIVE_TYPES = {
    ".tar.gz": "application/vnd.monobase.interpreter.v1.tar+gzip",
    ".tar.zst": "application/vnd.monobase.interpreter.v1.tar+zstd",
}
_FIRST_MACHINE = "x86_64"
_INTERPRETER_TAG = "interpreter-"
_LONGEST_TAG = 128
_AGAIN = "mirror it again with `//tools:mirror`"
_LARGEST_BYTES = 10**15
_MAX_ID = 99_999_999
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,199}")
_MACHINE = re.compile(r"[a-z][a-z0-9_]{0,40}")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~!-]{0,199}")
_Parsed = TypeVar("_Parsed")


@dataclass(frozen=True, slots=True)
class LockConfig:
    """The config of a lock's artifact.

    Attributes:
        generation_id: ID of the generation.
        kind: Whether the target is an environment or a toolkit.
        name: Name of the environment or toolkit.
        machine: Machine that the lock is for, such as `x86_64`.
        lock: Digest of the lock's text, `sha256:` and 64 hex digits.
        wheels: The wheels, in order of their names.
    """

    generation_id: int
    kind: Literal["environment", "toolkit"]
    name: str
    machine: str
    lock: str
    wheels: tuple[LockedWheel, ...]

    @property
    def tag(self) -> str:
        """Tag of the artifact."""
        return lock_tag(self.generation_id, self.name, self.machine)


@dataclass(frozen=True, slots=True)
class InterpreterConfig:
    """The config of an interpreter's artifact, and its entry in a tree.

    Attributes:
        key: Key of the interpreter as uv writes it, such as `cpython-3.12.12-linux-x86_64-gnu`.
        path: Path of the archive below `UV_PYTHON_INSTALL_MIRROR`, without percent-encoding.
        sha256: Digest of the archive, 64 hex digits.
        size_bytes: Size of the archive.
    """

    key: str
    path: str
    sha256: str
    size_bytes: int

    @property
    def filename(self) -> str:
        """Name of the archive."""
        return self.path.rpartition("/")[2]

    @property
    def tag(self) -> str:
        """Tag of the artifact."""
        return interpreter_tag(self.key)


@dataclass(frozen=True, slots=True)
class Blob:
    """A descriptor of an artifact's config or layer.

    Attributes:
        media_type: Media type.
        sha256: Digest, 64 hex digits.
        size_bytes: Size.
        title: Name of the file; empty for a config.
    """

    media_type: str
    sha256: str
    size_bytes: int
    title: str = ""

    @property
    def digest(self) -> str:
        """Digest as registries write it."""
        return f"sha256:{self.sha256}"


@dataclass(frozen=True, slots=True)
class Artifact:
    """An image manifest of a mirror.

    Attributes:
        artifact_type: What it is: `LOCK_TYPE` or `INTERPRETER_TYPE`, also media type of its config.
        config: Its config.
        layers: Its wheels, or the archive of its interpreter.
    """

    artifact_type: str
    config: Blob
    layers: tuple[Blob, ...]


def lock_tag(generation_id: int, name: str, machine: str) -> str:
    """Return the tag of a lock's artifact.

    Args:
        generation_id: ID of the generation.
        name: Name of the environment or toolkit.
        machine: Machine that the lock is for.

    Returns:
        `g00003-python3.12`, or `g00003-python3.12-aarch64` for another machine than x86_64. A tag cannot have
        a `+`: it becomes `_`.

    Raises:
        MirrorError: The tag would be too long for a registry.
    """
    suffix = "" if machine == _FIRST_MACHINE else f"-{machine}"
    return _tag(f"{generation_directory_name(generation_id)}-{name}{suffix}")


def interpreter_tag(key: str) -> str:
    """Return the tag of an interpreter's artifact, `interpreter-KEY` with `_` in place of `+`.

    Raises:
        MirrorError: The key is not one of uv's, or the tag would be too long for a registry.
    """
    if _PART.fullmatch(key) is None:
        raise MirrorError(
            f"{key!r}: is not the key of an interpreter such as cpython-3.12.12-linux-x86_64-gnu"
        )
    return _tag(f"{_INTERPRETER_TAG}{key}")


def archive_type(filename: str) -> str:
    """Return the media type of an interpreter's archive.

    Raises:
        MirrorError: The archive has another form than uv's.
    """
    for suffix, media_type in _ARCHIVE_TYPES.items():
        if filename.endswith(suffix):
            return media_type
    raise MirrorError(f"{filename!r}: is not an archive of an interpreter (.tar.gz, .tar.zst)")


def artifact_path(tag: str) -> str:
    """Return the path of a lock's config in a tree."""
    return f"{ARTIFACTS}/{tag}.json"


def file_path(sha256: str, filename: str) -> str:
    """Return the path of a wheel in a tree."""
    return f"{FILES}/{sha256}/{filename}"


def project_path(name: str) -> str:
    """Return the path of a package's page in a tree."""
    return f"{SIMPLE}/{name}/{PAGE}"


def interpreter_path(path: str) -> str:
    """Return the path of an interpreter's archive in a tree, of its path below uv's mirror.

    Raises:
        MirrorError: The path leads out of the tree.
    """
    if not all(map(_PART.fullmatch, path.split("/"))):
        raise MirrorError(f"{path!r}: is not the path of an interpreter's archive below a mirror")
    return f"{INTERPRETERS}/{path}"


def lock_config(lock: Lock, machine: str, text: str) -> LockConfig:
    """Return the config of a lock's artifact.

    Args:
        lock: The lock.
        machine: Machine that it is for.
        text: Its text.
    """
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return LockConfig(lock.generation_id, lock.kind, lock.target, machine, digest, lock.wheels)


def format_lock_config(config: LockConfig) -> bytes:
    """Write the config of a lock's artifact: canonical JSON, the same bytes for the same lock."""
    return _canonical(
        {
            "generation": config.generation_id,
            "kind": config.kind,
            "name": config.name,
            "machine": config.machine,
            "lock": config.lock,
            "packages": [
                {
                    "name": wheel.name,
                    "version": wheel.version,
                    "filename": wheel.filename,
                    "sha256": wheel.sha256,
                    "size": wheel.size_bytes,
                }
                for wheel in config.wheels
            ],
        }
    )


def parse_lock_config(content: bytes, subject: str) -> LockConfig:
    """Read the config of a lock's artifact.

    Args:
        content: The JSON.
        subject: Where it was read from, for messages.

    Raises:
        MirrorError: It is malformed; the message names the subject and the value.
    """
    found = _decode(content, _LockJson, subject)
    _demand(0 <= found.generation <= _MAX_ID, subject, "generation", found.generation)
    _demand(_NAME.fullmatch(found.name) is not None, subject, "name", found.name)
    _demand(_MACHINE.fullmatch(found.machine) is not None, subject, "machine", found.machine)
    _demand(_DIGEST.fullmatch(found.lock) is not None, subject, "lock", found.lock)
    _demand(bool(found.packages), subject, "packages", found.packages)
    wheels = tuple(_wheel(one, subject) for one in found.packages)
    names = [wheel.name for wheel in wheels]
    _demand(names == sorted(set(names)), subject, "packages", "not each once, in order of their names")
    return LockConfig(found.generation, found.kind, found.name, found.machine, found.lock, wheels)


def format_interpreter_config(config: InterpreterConfig) -> bytes:
    """Write the config of an interpreter's artifact: canonical JSON."""
    return _canonical({"key": config.key, "filename": config.filename, **_entry(config)})


def parse_interpreter_config(content: bytes, subject: str) -> InterpreterConfig:
    """Read the config of an interpreter's artifact.

    Args:
        content: The JSON.
        subject: Where it was read from, for messages.

    Raises:
        MirrorError: It is malformed; the message names the subject and the value.
    """
    found = _decode(content, _InterpreterJson, subject)
    config = _interpreter(found.key, found, subject)
    _demand(found.filename == config.filename, subject, "filename", found.filename)
    return config


def format_interpreters_index(configs: Iterable[InterpreterConfig]) -> bytes:
    """Write `interpreters/index.json` of a tree: canonical JSON and a newline."""
    return _canonical({config.key: _entry(config) for config in configs}) + b"\n"


def parse_interpreters_index(content: bytes, subject: str) -> dict[str, InterpreterConfig]:
    """Read `interpreters/index.json` of a tree.

    Args:
        content: The JSON.
        subject: Where it was read from, for messages.

    Returns:
        The interpreters by their keys.

    Raises:
        MirrorError: It is malformed; the message names the subject and the value.
    """
    found = _decode(content, dict[str, _EntryJson], subject)
    return {key: _interpreter(key, entry, subject) for key, entry in sorted(found.items())}


def lock_artifact(config: LockConfig) -> Artifact:
    """Return the artifact of a lock; a wheel that two packages share is one layer."""
    wheels = {wheel.sha256: wheel for wheel in config.wheels}.values()
    layers = (Blob(WHEEL_TYPE, wheel.sha256, wheel.size_bytes, wheel.filename) for wheel in wheels)
    return Artifact(LOCK_TYPE, _config_blob(LOCK_TYPE, format_lock_config(config)), tuple(layers))


def interpreter_artifact(config: InterpreterConfig) -> Artifact:
    """Return the artifact of an interpreter.

    Raises:
        MirrorError: Its archive has another form than uv's.
    """
    layer = Blob(archive_type(config.filename), config.sha256, config.size_bytes, config.filename)
    blob = _config_blob(INTERPRETER_TYPE, format_interpreter_config(config))
    return Artifact(INTERPRETER_TYPE, blob, (layer,))


def format_artifact(artifact: Artifact, *, with_type: bool = True) -> bytes:
    """Write an image manifest (image-spec v1.1): canonical JSON, so that its digest depends on it alone.

    Args:
        artifact: The artifact.
        with_type: Whether `artifactType` is in it; some registries from before OCI 1.1 refuse the field.
    """
    return _canonical(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            **({"artifactType": artifact.artifact_type} if with_type else {}),
            "config": _descriptor(artifact.config),
            "layers": [_descriptor(layer) for layer in artifact.layers],
        }
    )


def parse_artifact(content: bytes, subject: str) -> Artifact:
    """Read an image manifest of a mirror.

    Args:
        content: The JSON.
        subject: Where it was read from, for messages.

    Returns:
        The artifact, whose type is one of Monobase's.

    Raises:
        MirrorError: It is malformed, or of another type; the message names the subject and the value.
    """
    found = _decode(content, _ManifestJson, subject)
    _demand(found.schema_version == 2, subject, "schemaVersion", found.schema_version)
    _demand(found.media_type in {"", MANIFEST_TYPE}, subject, "mediaType", found.media_type)
    # Tools from before OCI 1.1 may leave the field out when they copy: the config has the type as well.
    kind = found.artifact_type or found.config.media_type
    if kind not in {LOCK_TYPE, INTERPRETER_TYPE} or found.config.media_type != kind:
        raise MirrorError(
            f"{subject}: is not an artifact of a mirror: its type is {kind!r}, its config has "
            f"{found.config.media_type!r}; expected {LOCK_TYPE} or {INTERPRETER_TYPE}"
        )
    config = _blob(found.config, subject)
    return Artifact(kind, config, tuple(_blob(layer, subject) for layer in found.layers))


class _PackageJson(msgspec.Struct):
    name: str
    version: str
    filename: str
    sha256: str
    size: int


class _LockJson(msgspec.Struct):
    generation: int
    kind: Literal["environment", "toolkit"]
    name: str
    machine: str
    lock: str
    packages: list[_PackageJson]


class _EntryJson(msgspec.Struct):
    path: str
    sha256: str
    size: int


class _InterpreterJson(_EntryJson):
    key: str
    filename: str


class _DescriptorJson(msgspec.Struct, rename="camel"):
    media_type: str
    digest: str
    size: int
    annotations: dict[str, str] = {}


class _ManifestJson(msgspec.Struct, rename="camel"):
    schema_version: int
    config: _DescriptorJson
    layers: list[_DescriptorJson]
    media_type: str = ""
    artifact_type: str = ""


def _tag(text: str) -> str:
    tag = text.replace("+", "_")
    if len(tag) > _LONGEST_TAG:
        raise MirrorError(
            f"{tag[:40]}…: has {len(tag)} characters, and a registry's tag at most {_LONGEST_TAG}; "
            "mirror this generation into a folder"
        )
    return tag


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _entry(config: InterpreterConfig) -> dict[str, Any]:
    return {"path": config.path, "sha256": config.sha256, "size": config.size_bytes}


def _config_blob(media_type: str, content: bytes) -> Blob:
    return Blob(media_type, hashlib.sha256(content).hexdigest(), len(content))


def _descriptor(blob: Blob) -> Mapping[str, Any]:
    return {
        "mediaType": blob.media_type,
        "digest": blob.digest,
        "size": blob.size_bytes,
        **({"annotations": {TITLE: blob.title}} if blob.title else {}),
    }


def _decode(content: bytes, form: type[_Parsed], subject: str) -> _Parsed:
    try:
        return msgspec.json.decode(content, type=form)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise MirrorError(
            f"{subject}: cannot be read: {error}; mirror it again with `//tools:mirror`"
        ) from error


def _demand(met: bool, subject: str, field: str, value: object) -> None:
    if not met:
        raise MirrorError(f"{subject}: its {field} is {value!r}; {_AGAIN}")


def _wheel(found: _PackageJson, subject: str) -> LockedWheel:
    _demand(_SHA256.fullmatch(found.sha256) is not None, subject, "sha256", found.sha256)
    _demand(0 < found.size <= _LARGEST_BYTES, subject, "size", found.size)
    _demand(_PART.fullmatch(found.filename) is not None, subject, "filename", found.filename)
    try:
        name, version, _, _ = parse_wheel_filename(found.filename)
        fits = found.name == canonicalize_name(found.name) == name and Version(found.version) == version
    except (InvalidWheelFilename, InvalidVersion, ValueError):
        fits = False
    _demand(fits, subject, "filename", f"{found.filename} of {found.name} {found.version}")
    return LockedWheel(found.name, found.version, found.sha256, found.filename, found.size)


def _interpreter(key: str, found: _EntryJson, subject: str) -> InterpreterConfig:
    _demand(_PART.fullmatch(key) is not None, subject, "key", key)
    parts = found.path.split("/")
    _demand(all(map(_PART.fullmatch, parts)), subject, "path", found.path)
    _demand(_SHA256.fullmatch(found.sha256) is not None, subject, "sha256", found.sha256)
    _demand(0 < found.size <= _LARGEST_BYTES, subject, "size", found.size)
    return InterpreterConfig(key, found.path, found.sha256, found.size)


def _blob(found: _DescriptorJson, subject: str) -> Blob:
    _demand(_DIGEST.fullmatch(found.digest) is not None, subject, "digest", found.digest)
    _demand(0 < found.size <= _LARGEST_BYTES, subject, "size", found.size)
    title = found.annotations.get(TITLE, "")
    _demand(not title or _PART.fullmatch(title) is not None, subject, TITLE, title)
    return Blob(found.media_type, found.digest.removeprefix("sha256:"), found.size, title)
