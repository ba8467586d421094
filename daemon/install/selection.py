"""The selection of targets: patterns of names, as `--only` has them."""

import difflib
import fnmatch
import itertools
from collections.abc import Iterable, Sequence

from gens.errors import DefinitionError
from gens.generation import Generation

_NAMED = 5


def is_selected(name: str, only: Sequence[str]) -> bool:
    """Return whether a name matches one of the patterns (fnmatch); without patterns, all names do."""
    return not only or any(fnmatch.fnmatchcase(name, pattern) for pattern in only)


def check_patterns(generations: Iterable[Generation], only: Sequence[str], option: str = "--only") -> None:
    """Refuse patterns that match nothing.

    Args:
        generations: The active generations.
        only: Patterns (fnmatch) of names of environments and toolkits; none means all.
        option: The option that has them, for the message.

    Raises:
        DefinitionError: They match no name.
    """
    known = sorted({target.name for generation in generations for target in generation.targets})
    if only and not any(is_selected(name, only) for name in known):
        near = (difflib.get_close_matches(pattern, known, _NAMED, cutoff=0) for pattern in only)
        named = list(dict.fromkeys(itertools.chain.from_iterable(near)))[:_NAMED]
        rest = f" and {len(known) - len(named)} more" if len(known) > len(named) else ""
        raise DefinitionError(
            f"{option} {' '.join(only)} matches nothing; there are: {', '.join(named)}{rest}"
        )
