"""Makes the wheels of requirements that are on no index, and checks that they are what was asked for."""

from collections.abc import Mapping
from pathlib import Path
from zipfile import is_zipfile

from gens.lock import LockedWheel
from tools.layer.base import Base
from tools.layer.build import Builder
from tools.layer.errors import BuildError, RequirementsError
from tools.layer.question import Wheels, applies
from tools.layer.request import Request, Requirement, Source
from tools.layer.wheel_file import locked_file


def make_wheels(
    builder: Builder, base: Base, request: Request, known: Mapping[str, tuple[Path, str]]
) -> Wheels:
    """Make the wheels of requirements that are on no index.

    Args:
        builder: Makes them.
        base: The base.
        request: What is asked for.
        known: By text of a requirement: its wheel of an earlier run, and the source in the words of a lock.

    Returns:
        The wheels.

    Raises:
        BuildError: One cannot be fetched or built, or is of another name.
        ResolutionError: A server did not answer.
    """
    requirements: list[str] = []
    sources: dict[str, str] = {}
    paths: dict[str, Path] = {}
    made: dict[Source, tuple[Path, str]] = {}
    for requirement in request.requirements:
        if requirement.source is None or not applies(requirement, base):
            continue
        what = f"{requirement.place}: {requirement.shown}"
        if requirement.source not in made:  # two files may name one source: one wheel, or uv sees a conflict
            found = known.get(requirement.text)
            made[requirement.source] = found or builder.make(requirement.source, what)
        path, label = made[requirement.source]
        if not is_zipfile(path):
            raise BuildError(
                f"{what}: {path.name} is damaged: it is not a zip file; download or build it again"
            )
        wheel = locked_file(path)
        if requirement.name not in (None, wheel.name):
            raise BuildError(f"{what}: is the package {wheel.name}, not {requirement.name}; correct the name")
        if wheel.name in paths and paths[wheel.name].name != path.name:
            raise RequirementsError(f"{what}: another requirement names another source of {wheel.name}")
        if requirement.hashes:
            _check_hash(requirement, wheel, label)
        extras = f"[{','.join(requirement.extras)}]" if requirement.extras else ""
        requirements.append(f"{wheel.name}{extras} @ {path.absolute().as_uri()}")
        sources[wheel.name], paths[wheel.name] = label, path
    return Wheels(tuple(requirements), sources, paths)


def _check_hash(requirement: Requirement, wheel: LockedWheel, label: str) -> None:
    """Check the hashes of a requirement by URL or path: those of the wheel, or of its source distribution."""
    if not any(digest == wheel.sha256 or label.endswith(digest) for digest in requirement.hashes):
        raise BuildError(f"{requirement.place}: {label} is not among the hashes of {requirement.shown}")
