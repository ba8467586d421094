"""Makes the delta of a layer from the solution of its question: what the base lacks."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.requirements import Requirement as Pep508
from packaging.utils import canonicalize_name

from gens.errors import ResolutionError
from gens.lock import LockedWheel
from layers.lock import Built, Override
from tools.layer.accelerator import second_accelerators
from tools.layer.base import Base
from tools.layer.build import Builder
from tools.layer.errors import ConflictError, OlderError, SecondAcceleratorError
from tools.layer.fallback import fallbacks, older_packages
from tools.layer.question import Question, Wheels
from tools.layer.request import Request
from tools.layer.resolution import Answer, ask, choose
from tools.layer.solution import Solution
from tools.layer.wheel_file import locked_file
from tools.locking.resolver import UnsatisfiableError
from tools.locking.uv_program import Resolver


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

    def solve(
        self, question: Question, answered: Callable[[], Answer], free: Callable[[], Mapping[str, str]]
    ) -> Solution:
        """Return what the base lacks of the solution of a question.

        Args:
            question: The question.
            answered: Returns its solution.
            free: Returns the versions of the solution without the pins of the base, by name.

        Raises:
            UnsatisfiableError: There is no solution.
            OlderError: A requirement would fall back to an older major version.
            SecondAcceleratorError: The layer would have a second Torch or CUDA.
            BuildError: A package without wheels does not build.
            ResolutionError: An index does not answer.
        """
        answer = answered()
        older = self._older(question, answer, free)
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
            warnings=(
                *answer.warnings,
                *older,
                *self._idle_overrides(answer),
                *self._misfits(question, replaced),
            ),
        )

    def _idle_overrides(self, answer: Answer) -> Iterator[str]:
        """Yield a warning for each override that changes nothing."""
        for override in self.overrides:
            name = canonicalize_name(Pep508(override).name)
            version = answer.versions.get(name)
            if version is None:
                yield f"--override {override}: nothing requires {name}; leave the option out"
            elif self.base.has(name, version):
                yield f"--override {override}: {name} {version} of the base is also the newest that fits"
            elif override == name and self._needs_no_override(name, version):
                yield f"--override {override}: the base has no {name}; leave the option out"

    def _needs_no_override(self, name: str, version: str) -> bool:
        return name not in self.base.wheels and not list(second_accelerators(self.base, [(name, version)]))

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

    def _older(
        self, question: Question, answer: Answer, find_free: Callable[[], Mapping[str, str]]
    ) -> list[str]:
        """Refuse releases that the base is the reason for and that hardly work; return warnings of others."""
        try:
            free = find_free()
        except ResolutionError:
            # Only the base makes a solution possible: nothing to compare with.
            return []
        refused = list(fallbacks(self.resolver, self.base, self.request, question, answer, free))
        if refused:
            raise OlderError("\n".join(refused))
        asked = {requirement.name for requirement in self.request.requirements}
        return [
            f"{name} is {old}, without the pins of the base it would be {new}"
            for name, old, new in older_packages(self.base, answer, free)
            if name in asked
        ]

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
