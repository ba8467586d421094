"""Reads the releases of an index; only those that have changed since the last time."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from functools import cache

from packaging.markers import default_environment
from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from gens.errors import ResolutionError
from tools.releases.cuda_extras import served_extras
from tools.releases.facts import Facts, ReadFrom, Release, make_facts
from tools.releases.index import Index, IndexedWheel
from tools.releases.symbols import needed_symbols, not_exported
from tools.releases.wheel_set import MACHINES, WheelSet, wheel_sets

COMPANIONS = ("torchaudio", "torchvision")
# Nobody who starts today needs older releases.
_OLDEST = {"torch": Version("2.1"), "torchvision": Version("0.16"), "torchaudio": Version("2.1")}
_OLDEST_CUDNN = Version("8.5")
_CUDNN = {major: f"nvidia-cudnn-cu{major}" for major in ("11", "12", "13")}
_JOBS = 8


def read_releases(index: Index, known: Facts | None, today: date) -> Facts:
    """Read the releases that an index serves.

    Args:
        index: The index.
        known: Facts of the last time, or None.
        today: Value of `read.date` if something has changed.

    Returns:
        The facts; `known` itself if nothing has changed.

    Raises:
        ResolutionError: The index does not answer, or a release contradicts itself.
    """
    with ThreadPoolExecutor(_JOBS) as pool:
        projects = ["torch", *COMPANIONS, "cuda-toolkit", *_CUDNN.values()]
        pages = dict(zip(projects, pool.map(index.wheels, projects), strict=True))
        if not pages["torch"]:
            raise ResolutionError(f"{index.name}: has no wheel of torch; name another index with --index-url")
        released = {
            project: _releases(project, pages[project], getattr(known, project, {}), index, pool)
            for project in ("torch", *COMPANIONS)
        }
        for project in COMPANIONS:
            released[project] = _with_admitted(project, released, pages, index)
        extras = _cuda_extras(pages["cuda-toolkit"], {} if known is None else known.cuda_extras, index, pool)
    cuda = [_three_parts(version) for version in sorted(_final(pages["cuda-toolkit"]))]
    cudnn = _cudnn({major: pages[name] for major, name in _CUDNN.items()})
    read = ReadFrom(date=today.isoformat(), index=index.name)
    facts = make_facts(
        read=known.read if known else read, cuda=cuda, cudnn=cudnn, cuda_extras=extras, **released
    )
    return known if known is not None and facts == known else replace(facts, read=read)


def _with_admitted(
    project: str,
    released: Mapping[str, Mapping[str, Release]],
    pages: Mapping[str, Sequence[IndexedWheel]],
    index: Index,
) -> dict[str, Release]:
    """Return the releases of a companion with the Torch releases that each works with."""
    named = {
        version: tuple(torch for torch in released["torch"] if torch in SpecifierSet(release.torch))
        for version, release in released[project].items()
        if release.torch is not None
    }
    spoken_for = {torch for admitted in named.values() for torch in admitted}
    found = {}
    for version, release in released[project].items():
        if release.torch is not None:
            found[version] = replace(release, admits=named[version])
        else:
            unclaimed = [torch for torch in released["torch"] if torch not in spoken_for]
            wheel = _newest(pages[project], version)
            found[version] = _examined(wheel, release, unclaimed, pages["torch"], index)
    return found


def _examined(
    wheel: IndexedWheel,
    release: Release,
    torches: Iterable[str],
    torch_wheels: Sequence[IndexedWheel],
    index: Index,
) -> Release:
    """Return a companion that names no Torch, with the Torch releases that export each symbol it needs."""
    left = [torch for torch in torches if torch not in release.examined]
    if not left:
        return release
    needed = index.read(wheel, needed_symbols)
    admits = set(release.admits)
    for torch in left:
        if not index.read(_newest(torch_wheels, torch), lambda archive: not_exported(archive, needed)):
            admits.add(torch)
    return replace(
        release,
        admits=tuple(sorted(admits, key=Version)),
        examined=tuple(sorted({*release.examined, *left}, key=Version)),
    )


def _newest(wheels: Sequence[IndexedWheel], version: str) -> IndexedWheel:
    """Return a wheel of a release for x86_64: all Pythons have the same libraries."""
    held = [wheel for wheel in wheels if str(wheel.version) == version]
    return _wheel_for(reversed(held), MACHINES[-1])


def _three_parts(version: Version) -> str:
    """Return a version of CUDA in three parts: the index has 13.0.3.0 for 13.0.3."""
    return str(version).removesuffix(".0") if len(version.release) == 4 else str(version)


def _cuda_extras(
    wheels: Sequence[IndexedWheel],
    known: Mapping[str, dict[str, list[str]]],
    index: Index,
    pool: ThreadPoolExecutor,
) -> dict[str, dict[str, list[str]]]:
    """Return the extras that a machine can have of each CUDA, if not all; a known one is not read again."""
    releases = {_three_parts(version): held for version, held in sorted(_final(wheels).items())}
    new = {version: held for version, held in releases.items() if version not in known}
    metadata = dict(zip(new, pool.map(lambda held: index.metadata(held[0]), new.values()), strict=True))
    pages = cache(index.wheels)
    return {
        version: known[version] if version in known else served_extras(metadata[version], pages)
        for version in releases
    }


def _final(wheels: Iterable[IndexedWheel]) -> dict[Version, list[IndexedWheel]]:
    """Return the wheels of each release, without pre-releases."""
    found = defaultdict(list)
    for wheel in wheels:
        if not wheel.version.is_prerelease:
            found[wheel.version].append(wheel)
    return dict(found)


def _releases(
    project: str,
    wheels: Sequence[IndexedWheel],
    known: Mapping[str, Release],
    index: Index,
    pool: ThreadPoolExecutor,
) -> dict[str, Release]:
    by_version = _final(wheels)
    versions = [version for version in sorted(by_version) if version >= _OLDEST[project]]
    read = pool.map(
        lambda version: _release(project, by_version[version], known.get(str(version)), index), versions
    )
    return {
        str(version): release for version, release in zip(versions, read, strict=True) if release is not None
    }


def _release(
    project: str, wheels: Sequence[IndexedWheel], known: Release | None, index: Index
) -> Release | None:
    """Read one release; return None if it has no wheel for Linux."""
    sets = _sets(wheels)
    if not sets:
        return None
    source = hashlib.sha256("".join(f"{wheel.filename} {wheel.sha256}\n" for wheel in wheels).encode())
    if known is not None and known.source == source.hexdigest():
        return known  # with the old `admits`: it is computed once all releases are known
    first = min(wheel.uploaded for wheel in wheels)
    metadata = {machine: index.metadata(_wheel_for(wheels, machine)) for machine in sets}
    if project == "torch":
        build = {machine: _build(metadata[machine], machine) for machine in sets}
        return Release(uploaded=first, source=source.hexdigest(), wheels=sets, build=build)
    requirements = {_required_torch(each) for each in metadata.values()}
    if len(requirements) > 1:
        raise ResolutionError(
            f"{project} {wheels[0].version}: its wheels require different releases of Torch: "
            f"{', '.join(str(each) for each in requirements)}"
        )
    return Release(uploaded=first, source=source.hexdigest(), wheels=sets, torch=requirements.pop())


def _sets(wheels: Iterable[IndexedWheel]) -> dict[str, WheelSet]:
    return wheel_sets(tag for wheel in wheels for tag in wheel.tags)


def _wheel_for(wheels: Iterable[IndexedWheel], machine: str) -> IndexedWheel:
    return next(wheel for wheel in wheels if machine in _sets([wheel]))


def _requirements(metadata: Metadata, machine: str = MACHINES[-1]) -> list[Requirement]:
    """Return the requirements on Linux, without extras."""
    environment: dict[str, str | AbstractSet[str]] = {
        **{name: str(value) for name, value in default_environment().items()},
        "platform_system": "Linux",
        "sys_platform": "linux",
        "platform_machine": machine,
        "extra": "",
    }
    return [
        need
        for need in metadata.requires_dist or ()
        if need.marker is None or need.marker.evaluate(environment)
    ]


def _build(metadata: Metadata, machine: str) -> str:
    """Return the build of a Torch wheel, by the CUDA runtime that it pins; `cpu` where it pins none."""
    for need in _requirements(metadata, machine):
        if need.name == "cuda-toolkit" or need.name.startswith("nvidia-cuda-runtime"):
            (pin,) = need.specifier
            major, minor = pin.version.split(".")[:2]
            return f"cu{major}{minor}"
    return "cpu"


def _required_torch(metadata: Metadata) -> str | None:
    named = [need for need in _requirements(metadata) if need.name == "torch" and need.specifier]
    return str(named[0].specifier) if named else None


def _cudnn(pages: Mapping[str, Sequence[IndexedWheel]]) -> dict[str, dict[str, list[str]]]:
    found: dict[Version, dict[str, list[str]]] = defaultdict(dict)
    for major, wheels in pages.items():
        for version, release in _final(wheels).items():
            machines: dict[str, WheelSet] = _sets(release)
            if machines and version >= _OLDEST_CUDNN:
                found[version][major] = sorted(machines)
    return {str(version): dict(sorted(found[version].items())) for version in sorted(found)}
