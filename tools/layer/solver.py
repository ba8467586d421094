"""Solves the requirements of a model together with the pins of its base; the delta is what the base lacks."""

import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from packaging.requirements import Requirement as Pep508
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from gens.errors import ResolutionError
from gens.lock import LockedWheel
from layers.lock import Built, Override
from tools.layer.accelerator import second_accelerators
from tools.layer.base import Base
from tools.layer.build import Builder
from tools.layer.errors import BuildError, ConflictError, RequirementsError
from tools.layer.fallback import OlderError, free_question, older_packages, older_requirements
from tools.layer.request import Request, Requirement
from tools.layer.resolution import Answer, Question, ask, choose
from tools.layer.wheel_file import locked_file
from tools.locking.resolver import Resolver, UnsatisfiableError


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


@dataclass(frozen=True, slots=True)
class Solution:
    """The delta of a layer.

    Attributes:
        wheels: What the base lacks, by name.
        built: Those that are on no index.
        files: The files of `built`.
        overrides: Packages of the base that are replaced.
        shared: Names of packages that the requirements need and the base has.
        own_index: Whether a wheel comes from the index of the base's build of Torch.
        warnings: Warnings of uv.
    """

    wheels: tuple[LockedWheel, ...]
    built: tuple[Built, ...]
    files: tuple[Path, ...]
    overrides: tuple[Override, ...]
    shared: tuple[str, ...]
    own_index: bool
    warnings: tuple[str, ...]


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
    for requirement in request.requirements:
        if requirement.source is None or not applies(requirement, base):
            continue
        what = f"{requirement.place}: {requirement.text}"
        path, label = known.get(requirement.text) or builder.make(requirement.source, what)
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
        raise BuildError(f"{requirement.place}: {label} is not among the hashes of {requirement.text}")


@dataclass(frozen=True, slots=True)
class Solver:
    """Solves one question on one base.

    Attributes:
        resolver: The uv to ask.
        builder: Builds packages that have no wheels.
        base: The base.
        request: What is asked for.
        wheels: Wheels of requirements that are on no index.
        overrides: `NAME` or `NAME==VERSION` of packages that may differ from the base.
        known_sdists: By name and digest of a source distribution: its wheel of an earlier run.
    """

    resolver: Resolver
    builder: Builder
    base: Base
    request: Request
    wheels: Wheels
    overrides: tuple[str, ...] = ()
    known_sdists: Mapping[str, Path] = field(default_factory=dict)

    def solve(self, question: Question) -> Solution:
        """Solve a question, and return what the base lacks.

        Raises:
            UnsatisfiableError: There is no solution.
            OlderError: A requirement would fall back to an older major version.
            SecondAcceleratorError: The layer would have a second Torch or CUDA.
            BuildError: A package without wheels does not build.
            ResolutionError: An index does not answer.
        """
        answer = ask(self.resolver, question)
        older = self._older(question, answer)
        delta = [name for name, version in answer.versions.items() if not self.base.has(name, version)]
        self._check_accelerators(answer, delta)
        wheels = list(choose(answer, [name for name in delta if name in answer.packages], question))
        built, files = [], []
        for name in delta:
            if name in answer.packages:
                continue
            path, source = self._built(answer, name)
            wheel = locked_file(path)
            wheels.append(wheel)
            files.append(path)
            built.append(Built(wheel.name, wheel.version, source))
        self._check_hashes(wheels)
        replaced = [wheel for wheel in wheels if wheel.name in self.base.wheels]
        return Solution(
            wheels=tuple(sorted(wheels, key=lambda wheel: wheel.name)),
            built=tuple(built),
            files=tuple(files),
            overrides=tuple(
                Override(wheel.name, wheel.version, self.base.wheels[wheel.name].version)
                for wheel in replaced
            ),
            shared=tuple(name for name in answer.versions if name not in delta),
            own_index=any(name in self.base.environment.inputs.index_packages for name in delta),
            warnings=(*answer.warnings, *older, *self._misfits(question, replaced)),
        )

    def _misfits(self, question: Question, replaced: Iterable[LockedWheel]) -> list[str]:
        """Return a warning if packages of the base do not accept what replaces others of it."""
        names = {wheel.name for wheel in replaced}
        if not names:
            return []
        rest = [wheel for wheel in self.base.lock.wheels if wheel.name not in names]
        alone = replace(
            question,
            requirements=tuple(f"{wheel.name}=={wheel.version}" for wheel in rest),
            constraints=tuple(f"{wheel.name}=={wheel.version}" for wheel in replaced),
            overrides=(),
            preferred=(),
            build=(),
        )
        try:
            ask(self.resolver, alone)
        except UnsatisfiableError as error:
            reason = str(error).partition("cause: ")[2].partition("\n")[0]
            reason = re.sub(r"monobase(==0)? depends on", "the base has", reason)
            pins = ", ".join(f"{wheel.name} {wheel.version}" for wheel in replaced)
            return [f"packages of the base do not accept {pins}, test what you use of them: {reason}"]
        return []

    def _free(self, question: Question, *, no_deps: bool = False) -> Answer | None:
        """Return the solution without the pins of the base, or None if it is not to be had."""
        try:
            return ask(self.resolver, replace(free_question(self.base, question), no_deps=no_deps))
        except ResolutionError:
            return None

    def _older(self, question: Question, answer: Answer) -> list[str]:
        """Refuse requirements that fall back to an older major version, and return warnings of others."""
        # uv has the pages of all requirements by now, so that this takes no request. Only an older major
        # version takes a whole resolution, which tells whether the base is the reason.
        newest = self._free(question, no_deps=True)
        if newest is None:
            return []
        if list(older_requirements(self.base, self.request, answer, newest)):
            self._refuse_older(answer, self._free(question))
        return [
            f"{name} is {old}, the newest is {new}: the base or another requirement does not admit it"
            for name, old, new in older_packages(self.base, answer, newest)
        ]

    def _refuse_older(self, answer: Answer, free: Answer | None) -> None:
        if free is None:
            return
        refused = list(older_requirements(self.base, self.request, answer, free))
        if refused:
            raise OlderError(
                "\n".join(
                    f"{name} would be {old}, not {new}; if that is what you want, write {name}=={old}"
                    for name, old, new in refused
                )
            )

    def _check_accelerators(self, answer: Answer, delta: Iterable[str]) -> None:
        allowed = {canonicalize_name(Pep508(override).name) for override in self.overrides}
        versions = [(name, answer.versions[name]) for name in delta if name not in allowed]
        found = dict(second_accelerators(self.base, versions))
        if found:
            raise SecondAcceleratorError(
                {name: (answer.versions[name], reason) for name, reason in found.items()}
            )

    def _built(self, answer: Answer, name: str) -> tuple[Path, str]:
        if name in answer.local:
            return self.wheels.paths[name], self.wheels.sources[name]
        version, sdist = answer.sdists[name]
        label = f"{sdist.filename} sha256:{sdist.sha256}"
        if label in self.known_sdists:
            return self.known_sdists[label], label
        return self.builder.make_from_sdist(sdist.url, sdist.filename, sdist.sha256, f"{name} {version}")

    def _check_hashes(self, wheels: Iterable[LockedWheel]) -> None:
        found = {wheel.name: wheel.sha256 for wheel in wheels}
        for requirement in self.request.requirements:
            wanted, name = requirement.hashes, requirement.name
            if wanted and name in found and found[name] not in wanted and requirement.source is None:
                raise ConflictError(
                    f"{requirement.place}: the wheel of {name} for {self.base.name} has "
                    f"sha256:{found[name]}, which is not among its hashes; add it, or remove the hashes: the "
                    "lock has them"
                )


class SecondAcceleratorError(ConflictError):
    """The layer would have a second Torch or CUDA.

    Attributes:
        found: By name of the package: its version, and why it is a second one.
    """

    def __init__(self, found: Mapping[str, tuple[str, str]]) -> None:
        super().__init__(", ".join(found))
        self.found = found
