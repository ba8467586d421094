"""Finds the environment that a user means by a name, or by a part of one."""

import difflib
from collections.abc import Iterator, Sequence

from gens.abbreviation import abbreviates
from gens.errors import DefinitionError
from gens.generation import Environment, Generation, Toolkit

_NAMED = 5


def find_environment(
    generations: Sequence[Generation], asked: str, generation_id: int | None
) -> tuple[Generation, Environment]:
    """Find an environment by its name, or by a part of it that only one environment of its generation fits.

    `abbreviates` says what a part is. An exact name comes first, in any generation; of several generations,
    the newest is meant.

    Args:
        generations: The generations, oldest first.
        asked: The name, or a part of it.
        generation_id: Its generation; None for any.

    Returns:
        The generation and the environment.

    Raises:
        DefinitionError: None fits, or several do.
    """
    known = [item.id for item in generations]
    if generation_id is not None and generation_id not in known:
        raise DefinitionError(
            f"--gen {generation_id}: there is no generation {generation_id}; there are "
            f"{', '.join(map(str, known))}"
        )
    newest_first = [
        item for item in reversed(generations) if generation_id is None or item.id == generation_id
    ]
    for generation in newest_first:
        for environment in generation.environments:
            if environment.name == asked:
                return generation, environment
    for generation in newest_first:
        fitting = [item for item in generation.environments if abbreviates(asked, item.name)]
        if len(fitting) == 1:
            return generation, fitting[0]
        if fitting:
            names = ", ".join(item.name for item in fitting[:_NAMED])
            rest = f" and {len(fitting) - _NAMED} more" if len(fitting) > _NAMED else ""
            raise DefinitionError(
                f"--env {asked} fits {len(fitting)} environments of {generation.directory_name}: "
                f"{names}{rest}; write more of the name"
            )
    raise _nothing_fits(generations, newest_first, asked)


def find_toolkit(generation: Generation, environment: Environment) -> Toolkit | None:
    """Return the CUDA toolkit of an environment's build; None if there is none."""
    for toolkit in generation.toolkits:
        if toolkit.product == "cuda" and toolkit.version == environment.cuda:
            return toolkit
    return None


def _nothing_fits(
    generations: Sequence[Generation], searched: Sequence[Generation], asked: str
) -> DefinitionError:
    known = sorted(dict.fromkeys(_names(searched)))
    near = difflib.get_close_matches(asked, known, _NAMED, cutoff=0)
    where = " ".join(item.directory_name for item in searched)
    elsewhere = [
        item.directory_name
        for item in generations
        if item not in searched and any(abbreviates(asked, name) for name in _names([item]))
    ]
    hint = f"; another generation has it: {' '.join(elsewhere)}" if elsewhere else ""
    return DefinitionError(
        f"--env {asked} fits no environment of {where}{hint}; near it are: {', '.join(near) or 'none'}"
    )


def _names(generations: Sequence[Generation]) -> Iterator[str]:
    for generation in generations:
        for environment in generation.environments:
            yield environment.name
