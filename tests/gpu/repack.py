"""Makes wheels of installed distributions: the way to real wheels on a machine that reaches no index.

Implements the binary distribution format of the PyPA specifications. Members are stored, not compressed: the
wheels of CUDA hold gigabytes, and stay on the machine.
"""

import base64
import csv
import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement

from tests.index.wheel import Wheel, WheelSpec, normalized

_OLDEST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_CHUNK_BYTES = 1 << 20
_OF_AN_INSTALLER = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json")


def with_requirements(names: Iterable[str]) -> list[Distribution]:
    """Return installed distributions and their requirements on this machine, sorted by name.

    Args:
        names: Names of distributions.

    Raises:
        PackageNotFoundError: One of `names` is not installed.
    """
    found: dict[str, Distribution] = {}
    wanted = [(name, frozenset({""})) for name in names]
    seen = set()
    while wanted:
        name, extras = wanted.pop()
        if (normalized(name), extras) in seen:
            continue
        seen.add((normalized(name), extras))
        held = distribution(name)
        found[normalized(name)] = held
        for text in held.requires or ():
            need = Requirement(text)
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras):
                wanted.append((need.name, frozenset(need.extras | {""})))
    return [found[name] for name in sorted(found)]


def is_installed(name: str) -> bool:
    """Return whether a distribution is installed."""
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def repack(held: Distribution, folder: Path) -> Wheel:
    """Make the wheel that an installed distribution came from, as far as it can be told.

    Bytecode and console scripts are left out, as installers make them; what stands outside of site-packages
    goes into the `.data` folder.

    Args:
        held: The distribution.
        folder: Where the wheel goes; made if it does not exist.

    Returns:
        The wheel.

    Raises:
        ValueError: The distribution has no list of its files, or no tag.
    """
    name, version = held.metadata["Name"], held.version
    tags = [line.removeprefix("Tag: ") for line in _lines(held, "WHEEL") if line.startswith("Tag: ")]
    if held.files is None or not tags:
        raise ValueError(f"{name} {version}: lacks RECORD or WHEEL in its .dist-info; install it by pip")
    python, abi, platform = (".".join(dict.fromkeys(part)) for part in zip(*map(_split, tags), strict=True))
    spec = WheelSpec(name, version, python, abi, platform)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / spec.filename
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    with zipfile.ZipFile(path, "w", allowZip64=True) as wheel:
        for member, source in _members(held, spec):
            digest, size = _store(wheel, member, source)
            rows.writerow((member, digest, size))
        rows.writerow((f"{spec.dist_info}/RECORD", "", ""))
        wheel.writestr(zipfile.ZipInfo(f"{spec.dist_info}/RECORD", _OLDEST_ZIP_DATE), record.getvalue())
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    metadata = (held.read_text("METADATA") or "").encode()
    return Wheel(spec, path, path.stat().st_size, sha256, metadata)


def _lines(held: Distribution, name: str) -> list[str]:
    return (held.read_text(name) or "").splitlines()


def _split(tag: str) -> tuple[str, str, str]:
    python, abi, platform = tag.split("-")
    return python, abi, platform


def _members(held: Distribution, spec: WheelSpec) -> Iterator[tuple[str, Path]]:
    """Yield each member and the file that it is made from, sorted by member."""
    members = {}
    for file in held.files or ():
        path = PurePosixPath(file)
        source = Path(str(file.locate()))
        if path.suffix == ".pyc" or not source.is_file():
            continue
        if ".dist-info" in path.parts[0]:
            if len(path.parts) == 2 and path.name in _OF_AN_INSTALLER:
                continue
            path = PurePosixPath(spec.dist_info, *path.parts[1:])
        elif path.parts[0] == "..":
            outside = [part for part in path.parts if part != ".."]
            if outside[0] == "bin":
                continue
            path = PurePosixPath(spec.data_folder, "data", *outside)
        members[str(path)] = source
    yield from sorted(members.items())


def _store(wheel: zipfile.ZipFile, member: str, source: Path) -> tuple[str, int]:
    """Store one file, and return its digest and size for RECORD."""
    info = zipfile.ZipInfo(member, _OLDEST_ZIP_DATE)
    info.external_attr = (source.stat().st_mode & 0o777 | 0o100000) << 16
    info.file_size = source.stat().st_size
    digest = hashlib.sha256()
    with source.open("rb") as reader, wheel.open(info, "w", force_zip64=info.file_size > 1 << 31) as writer:
        while chunk := reader.read(_CHUNK_BYTES):
            digest.update(chunk)
            writer.write(chunk)
    text = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
    return f"sha256={text}", info.file_size
