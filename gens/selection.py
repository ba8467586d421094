"""The selection of a node: the part of each generation that it holds.

Patterns of names select environments and toolkits, as `--only` or a pool (`gens/pools.py`) has them. What a
node is to hold is a range of generations and a selection of each.
"""

import difflib
import fnmatch
import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from gens.errors import DefinitionError
from gens.generation import Generation, Target

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Selection:
    """The part of each generation that a node holds.

    Attributes:
        patterns: Patterns (fnmatch) of names of environments and toolkits; none means all.
        pool: Name of the pool that has the patterns, or None. `Catalog.resolve` fills in its patterns.
        eager: Patterns of what is installed without being asked for; None for all that is selected. The rest
            is installed when a model asks for it.
    """

    patterns: tuple[str, ...] = ()
    pool: str | None = None
    eager: tuple[str, ...] | None = None

    @classmethod
    def of_option(cls, text: str) -> "Selection":
        """Return the selection of an option, as `option` writes it; without the patterns of a pool."""
        option, *words = text.split() or [""]
        return cls(pool=words[0]) if option == "--pool" else cls(tuple(words))

    @property
    def is_all(self) -> bool:
        """True if everything is selected."""
        return not self.patterns and self.pool is None

    @property
    def option(self) -> str:
        """The option that it was made of, such as `--pool h100` or `--only python3.12*`; empty for all."""
        if self.pool is not None:
            return f"--pool {self.pool}"
        return f"--only {' '.join(self.patterns)}" if self.patterns else ""

    def has(self, name: str) -> bool:
        """Return whether an environment or toolkit is selected.

        Raises:
            ValueError: The patterns of its pool were not filled in.
        """
        if self.pool is not None and not self.patterns:
            raise ValueError(f"the patterns of the pool {self.pool} are not known")
        return not self.patterns or _matches(name, self.patterns)

    def requires(self, name: str) -> bool:
        """Return whether an environment or toolkit is selected, and installed without being asked for."""
        return self.has(name) and (self.eager is None or _matches(name, self.eager))

    def targets(self, generation: Generation) -> tuple[Target, ...]:
        """Return the selected environments and toolkits of a generation."""
        return tuple(target for target in generation.targets if self.has(target.name))

    def required(self, generation: Generation) -> frozenset[str]:
        """Return the names of what of a generation is installed without being asked for.

        A node has the generation when it has these.
        """
        return frozenset(target.name for target in generation.targets if self.requires(target.name))

    def check(self, generations: Iterable[Generation]) -> None:
        """Refuse patterns that match nothing; those of a pool only if they match nothing together.

        What is eager must be selected as well: else it would never be installed, and nothing would say so.

        Args:
            generations: The active generations.

        Raises:
            DefinitionError: A pattern, or a pool, matches no name of them; or what is eager is not selected.
        """
        active = list(generations)
        check_patterns(active, self.eager or (), "--eager")
        if self.pool is None:
            check_patterns(active, self.patterns, "--only")
        elif not any(self.targets(generation) for generation in active):
            raise DefinitionError(
                f"--pool {self.pool} selects nothing of the active generations: "
                f"{' '.join(self.patterns)}; there are: {_nearest(self.patterns, _names(active))}"
            )
        selected = [target.name for generation in active for target in self.targets(generation)]
        idle = unmatched(self.eager or (), selected)
        if idle and (self.pool is None or len(idle) == len(self.eager or ())):
            raise DefinitionError(
                f"--eager {' '.join(idle)} names nothing that {self.option} selects, so it would do "
                f"nothing; selected are: {_nearest(idle, sorted(set(selected)))}"
            )


EVERYTHING = Selection()


def check_patterns(generations: Iterable[Generation], patterns: Iterable[str], option: str) -> None:
    """Refuse patterns of an option that match none of the names of some generations.

    Raises:
        DefinitionError: A pattern matches nothing.
    """
    known = _names(generations)
    idle = unmatched(patterns, known)
    if idle:
        raise DefinitionError(
            f"{option} {' '.join(idle)} matches nothing; there are: {_nearest(idle, known)}"
        )


def unmatched(patterns: Iterable[str], names: Iterable[str]) -> list[str]:
    """Return the patterns that match none of some names."""
    known = list(names)
    return [pattern for pattern in patterns if not fnmatch.filter(known, pattern)]


def _names(generations: Iterable[Generation]) -> list[str]:
    return sorted({target.name for generation in generations for target in generation.targets})


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _nearest(patterns: Iterable[str], known: list[str]) -> str:
    """Return the names that are most like some patterns, and how many others there are."""
    near = (difflib.get_close_matches(pattern, known, _NAMED, cutoff=0) for pattern in patterns)
    named = list(dict.fromkeys(itertools.chain.from_iterable(near)))[:_NAMED]
    rest = f" and {len(known) - len(named)} more" if len(known) > len(named) else ""
    return f"{', '.join(named)}{rest}"
