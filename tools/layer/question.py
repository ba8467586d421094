"""The question to uv: the requirements of a model together with the pins of its base."""

import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from packaging.requirements import Requirement as Pep508
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tools.layer.base import Base
from tools.layer.errors import RequirementsError
from tools.layer.request import Request, Requirement


@dataclass(frozen=True, slots=True)
class Question:
    """All that decides one resolution.

    Attributes:
        python: Full version of the interpreter.
        platform: Platform in uv's words.
        exclude_newer: Time bound (RFC 3339, UTC).
        requirements: Requirements (PEP 508); local wheels as `NAME @ file:///…`.
        constraints: Version bounds.
        overrides: Requirements that replace all others of their package.
        package_indexes: Index that alone serves a package, by name. The package is also a requirement.
        undated: Names of packages from indexes without upload times.
        dated: Time bounds of single packages, by name.
        preferred: Versions to keep where they fit, by name.
        build: Names of packages to resolve by their source distribution.
        may_build: Whether packages without wheels may be built.
        no_deps: Whether to leave out what the requirements require.
    """

    python: str
    platform: str
    exclude_newer: str
    requirements: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    package_indexes: tuple[tuple[str, str], ...] = ()
    undated: tuple[str, ...] = ()
    dated: tuple[tuple[str, str], ...] = ()
    preferred: tuple[tuple[str, str], ...] = ()
    build: tuple[str, ...] = ()
    may_build: bool = True
    no_deps: bool = False


@dataclass(frozen=True, slots=True)
class Wheels:
    """Wheels of requirements that are on no index.

    Attributes:
        requirements: Requirements of them, for uv.
        sources: By name of the package: the source in the words of a lock.
        paths: By name of the package: the wheel.
    """

    requirements: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, Path] = field(default_factory=dict)


def marker_environment(base: Base) -> dict[str, str]:
    """Return the values of markers on a base."""
    full = base.environment.python_full
    return {
        "implementation_name": "cpython",
        "implementation_version": full,
        "os_name": "posix",
        "platform_machine": base.environment.inputs.machine,
        "platform_python_implementation": "CPython",
        "platform_release": platform.release(),
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": full,
        "python_version": base.environment.python,
        "sys_platform": "linux",
        "extra": "",
    }


def applies(requirement: Requirement, base: Base) -> bool:
    """Return whether the marker of a requirement is true on a base."""
    return requirement.marker is None or requirement.marker.evaluate(marker_environment(base))


def check_request(base: Base, request: Request, overrides: Iterable[str]) -> None:
    """Refuse requests that cannot be met, whatever an index says.

    Raises:
        RequirementsError: The project is not for the Python of the base, or an override is malformed.
    """
    for bound in request.requires_python:
        if not SpecifierSet(bound).contains(base.environment.python_full, prereleases=True):
            raise RequirementsError(
                f"requires-python is {bound!r}, and {base.name} has Python {base.environment.python_full}; "
                "name an environment with another Python"
            )
    for override in overrides:
        parsed = Pep508(override)
        name = canonicalize_name(parsed.name)
        pins = [one.operator for one in parsed.specifier]
        if parsed.url or parsed.marker or parsed.extras or pins not in ([], ["=="]):
            raise RequirementsError(f"--override {override}: write NAME or NAME==VERSION")
        if name in base.wheels and pins and base.has(name, override.partition("==")[2]):
            raise RequirementsError(f"--override {override}: the base has that version; leave the option out")


def request_for(base: Base, request: Request, overrides: Iterable[str]) -> Request:
    """Return a request without the indexes of packages that the base has, such as PyTorch's for Torch.

    Args:
        base: The base.
        request: What is asked for.
        overrides: `NAME` or `NAME==VERSION` of packages that may differ from the base.
    """
    free = {canonicalize_name(Pep508(override).name) for override in overrides}
    kept = [pair for pair in request.package_indexes if pair[0] not in base.wheels or pair[0] in free]
    return replace(request, package_indexes=tuple(kept))


def make_question(
    base: Base,
    request: Request,
    wheels: Wheels,
    exclude_newer: str,
    overrides: tuple[str, ...],
    preferred: Iterable[tuple[str, str]] = (),
    may_build: bool = True,
) -> Question:
    """Return the question whose answer has the base's pins and what the requirements need beside them.

    Args:
        base: The base.
        request: What is asked for.
        wheels: Wheels of requirements that are on no index.
        exclude_newer: Time bound.
        overrides: `NAME` or `NAME==VERSION` of packages that may differ from the base.
        preferred: Versions to keep where they fit, by name.
        may_build: Whether packages without wheels may be built.
    """
    inputs = base.environment.inputs
    free = {canonicalize_name(Pep508(override).name) for override in overrides}
    pins = [f"{wheel.name}=={wheel.version}" for wheel in base.lock.wheels if wheel.name not in free]
    # Packages of the index of a build are found only if they are requirements themselves.
    own_index = [name for name in map(canonicalize_name, inputs.index_packages) if name not in free]
    of_index = [
        requirement
        for requirement in inputs.requirements
        if canonicalize_name(Pep508(requirement).name) in own_index
    ]
    indexes = list(request_for(base, request, overrides).package_indexes)
    indexes += [(name, inputs.index_url) for name in own_index if inputs.index_url is not None]
    # Where the layer is of an earlier date than the base, the base's pins still exist.
    is_older = datetime.fromisoformat(exclude_newer) < datetime.fromisoformat(inputs.exclude_newer)
    return Question(
        python=inputs.python,
        platform=inputs.platform,
        exclude_newer=exclude_newer,
        requirements=(
            *(one.pep508 for one in request.requirements if one.source is None),
            *wheels.requirements,
            *of_index,
        ),
        constraints=(*pins, *(one.pep508 for one in request.constraints)),
        overrides=tuple(override for override in overrides if "==" in override),
        package_indexes=tuple(indexes),
        undated=tuple(name for name, _ in indexes),
        dated=tuple((name, inputs.exclude_newer) for name in base.wheels if is_older and name not in free),
        preferred=tuple(pair for pair in preferred if pair[0] not in base.wheels or pair[0] in free),
        build=request.build,
        may_build=may_build,
    )
