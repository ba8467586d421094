"""Small, deterministic wheels made from a description, well-formed or damaged on purpose.

Implements the binary distribution format of the PyPA specifications (file name, ``METADATA``, ``WHEEL``,
``RECORD``, ``.data`` folders). The same description gives the same bytes on every machine: members are
sorted, carry the oldest date that a zip can hold and, unless asked otherwise, are stored and not compressed.
"""

import base64
import csv
import hashlib
import io
import re
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_OLDEST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_LARGE_BYTES = 64 * 1024
_FASTEST = 1
_FILE_MODE = 0o644
_EXECUTABLE_MODE = 0o755
_METADATA_VERSION = "2.1"
_WRONG_DIGEST = hashlib.sha256(b"not what the archive holds").digest()


@dataclass(frozen=True, slots=True)
class Damage:
    """The damage of a wheel; none by default.

    Attributes:
        wrong_hashes: Members whose ``RECORD`` line gives the hash of something else.
        unrecorded: Further members, path to content, that ``RECORD`` does not list.
        escaping: Further members, listed in ``RECORD``, with names such as ``../../x`` or ``/x``.
        symlinks: Further members that are symbolic links, path to target.
        truncated_to_bytes: Keep only so many bytes of the archive.
        without_record: Leave ``RECORD`` out.
        metadata_name: The ``Name`` in ``METADATA`` where it is not the one of the file name.
    """

    wrong_hashes: frozenset[str] = frozenset()
    unrecorded: Mapping[str, bytes] = field(default_factory=dict)
    escaping: Mapping[str, bytes] = field(default_factory=dict)
    symlinks: Mapping[str, str] = field(default_factory=dict)
    truncated_to_bytes: int | None = None
    without_record: bool = False
    metadata_name: str | None = None


@dataclass(frozen=True, slots=True)
class WheelSpec:
    """The description of one wheel.

    Attributes:
        name: Name of the project, as its author writes it.
        version: Version, with the local part if any (``2.4.1+cu118``).
        python_tag: Python tag of the file name, compressed tags included (``py2.py3``).
        abi_tag: ABI tag of the file name.
        platform_tag: Platform tag of the file name, compressed tags included.
        build_tag: Build tag of the file name, empty for none.
        requires_dist: ``Requires-Dist`` lines.
        extras: ``Provides-Extra`` lines.
        requires_python: ``Requires-Python``.
        files: What lands in site-packages, path to content.
        executables: Members, by their path in the archive, that have the executable bits.
        data: What stands in the ``.data`` folder, path to content (``scripts/tool``, ``headers/x.h``).
        console_scripts: Entry points, command to object reference.
        deflated: Compress the members, but for large ones: those are filling that does not compress.
        damage: What is wrong with the wheel.
    """

    name: str
    version: str
    python_tag: str = "py3"
    abi_tag: str = "none"
    platform_tag: str = "any"
    build_tag: str = ""
    requires_dist: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    requires_python: str | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    executables: frozenset[str] = frozenset()
    data: Mapping[str, bytes] = field(default_factory=dict)
    console_scripts: Mapping[str, str] = field(default_factory=dict)
    deflated: bool = False
    damage: Damage = field(default_factory=Damage)

    @property
    def filename(self) -> str:
        """File name as the binary distribution format defines it."""
        parts = [_escaped(self.name), self.version]
        if self.build_tag:
            parts.append(self.build_tag)
        return "-".join([*parts, self.python_tag, self.abi_tag, self.platform_tag]) + ".whl"

    @property
    def dist_info(self) -> str:
        """Name of the ``.dist-info`` folder."""
        return f"{_escaped(self.name)}-{self.version}.dist-info"

    @property
    def data_folder(self) -> str:
        """Name of the ``.data`` folder."""
        return f"{_escaped(self.name)}-{self.version}.data"


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel on disk, with the facts that an index states.

    Attributes:
        spec: The description that it was made from.
        path: Where it stands.
        size_bytes: Size of the archive.
        sha256: Digest of the archive, hexadecimal.
        metadata: Content of ``METADATA``.
    """

    spec: WheelSpec
    path: Path
    size_bytes: int
    sha256: str
    metadata: bytes

    @property
    def filename(self) -> str:
        """File name of the wheel."""
        return self.path.name

    @property
    def metadata_sha256(self) -> str:
        """Digest of ``METADATA``, hexadecimal."""
        return hashlib.sha256(self.metadata).hexdigest()

    @property
    def requirement(self) -> str:
        """A line of a requirements file that pins this very wheel."""
        return f"{self.spec.name}=={self.spec.version} --hash=sha256:{self.sha256}"


def normalized(name: str) -> str:
    """Return the normalized name of a project, as PEP 503 defines it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def metadata_of(spec: WheelSpec) -> bytes:
    """Return the content of ``METADATA``."""
    lines = [
        f"Metadata-Version: {_METADATA_VERSION}",
        f"Name: {spec.damage.metadata_name or spec.name}",
        f"Version: {spec.version}",
        f"Summary: {spec.name}, made for a test",
    ]
    if spec.requires_python is not None:
        lines.append(f"Requires-Python: {spec.requires_python}")
    lines += [f"Provides-Extra: {extra}" for extra in spec.extras]
    lines += [f"Requires-Dist: {requirement}" for requirement in spec.requires_dist]
    return ("\n".join(lines) + "\n").encode()


def build_wheel(spec: WheelSpec) -> bytes:
    """Return the archive that a description stands for.

    Args:
        spec: What to build.

    Returns:
        The bytes of the wheel, the same ones for the same description.
    """
    members = _members(spec)
    record = io.StringIO()
    lines = csv.writer(record, lineterminator="\n")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as wheel:
        for name, content in members.items():
            wheel.writestr(_member(name, spec, len(content)), content, compresslevel=_FASTEST)
            if name not in spec.damage.unrecorded:
                wrong = name in spec.damage.wrong_hashes
                digest = _WRONG_DIGEST if wrong else hashlib.sha256(content).digest()
                lines.writerow((name, f"sha256={_base64(digest)}", len(content)))
        if not spec.damage.without_record:
            name = f"{spec.dist_info}/RECORD"
            lines.writerow((name, "", ""))
            content = record.getvalue().encode()
            wheel.writestr(_member(name, spec, len(content)), content, compresslevel=_FASTEST)
    return archive.getvalue()[: spec.damage.truncated_to_bytes]


def write_wheel(spec: WheelSpec, folder: Path) -> Wheel:
    """Build a wheel and put it into a folder.

    Args:
        spec: What to build.
        folder: Where to put it; made if it does not exist.

    Returns:
        The wheel on disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = build_wheel(spec)
    path = folder / spec.filename
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return Wheel(spec, path, len(content), digest, metadata_of(spec))


def read_wheel(path: Path) -> Wheel:
    """Return an existing wheel, such as one of a real index.

    Args:
        path: The wheel. Of its description only the file name counts.
    """
    name, version, *build, python_tag, abi_tag, platform_tag = path.stem.split("-")
    spec = WheelSpec(name, version, python_tag, abi_tag, platform_tag, "".join(build))
    with zipfile.ZipFile(path) as archive:
        metadata = archive.read(f"{name}-{version}.dist-info/METADATA")
    content = path.read_bytes()
    return Wheel(spec, path, len(content), hashlib.sha256(content).hexdigest(), metadata)


def _members(spec: WheelSpec) -> dict[str, bytes]:
    """Return all members but ``RECORD``: the payload sorted, then ``.dist-info``, as is recommended."""
    payload = {
        **spec.files,
        **{f"{spec.data_folder}/{path}": content for path, content in spec.data.items()},
        **spec.damage.unrecorded,
        **spec.damage.escaping,
        **{path: target.encode() for path, target in spec.damage.symlinks.items()},
    }
    members = dict(sorted(payload.items()))
    missing = (spec.executables | spec.damage.wrong_hashes) - members.keys()
    if missing:
        message = f"{spec.filename}: no such members: {', '.join(sorted(missing))}"
        raise ValueError(message)
    members[f"{spec.dist_info}/METADATA"] = metadata_of(spec)
    members[f"{spec.dist_info}/WHEEL"] = _wheel_file(spec)
    if spec.console_scripts:
        lines = [f"{command} = {target}" for command, target in sorted(spec.console_scripts.items())]
        members[f"{spec.dist_info}/entry_points.txt"] = "\n".join(["[console_scripts]", *lines, ""]).encode()
    return members


def _wheel_file(spec: WheelSpec) -> bytes:
    """Return the content of ``WHEEL``: one ``Tag`` line for each tag that the file name compresses."""
    tags = [
        f"Tag: {python}-{abi}-{platform}"
        for python in spec.python_tag.split(".")
        for abi in spec.abi_tag.split(".")
        for platform in spec.platform_tag.split(".")
    ]
    pure = "true" if spec.platform_tag == "any" else "false"
    lines = ["Wheel-Version: 1.0", "Generator: monobase-tests", f"Root-Is-Purelib: {pure}", *tags]
    if spec.build_tag:
        lines.append(f"Build: {spec.build_tag}")
    return ("\n".join(lines) + "\n").encode()


def _member(name: str, spec: WheelSpec, size_bytes: int) -> zipfile.ZipInfo:
    """Return the header of one member, with nothing in it that differs from run to run."""
    header = zipfile.ZipInfo(name, _OLDEST_ZIP_DATE)
    header.create_system = 3  # Unix, so that the mode below counts wherever this runs
    if spec.deflated and size_bytes < _LARGE_BYTES:
        header.compress_type = zipfile.ZIP_DEFLATED
    if name in spec.damage.symlinks:
        header.external_attr = (stat.S_IFLNK | 0o777) << 16
    else:
        mode = _EXECUTABLE_MODE if name in spec.executables else _FILE_MODE
        header.external_attr = (stat.S_IFREG | mode) << 16
    return header


def _escaped(name: str) -> str:
    """Return a name as it stands in the file name of a wheel."""
    return normalized(name).replace("-", "_")


def _base64(digest: bytes) -> str:
    """Return a digest as ``RECORD`` writes it: URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
