"""Writes the lists of generations of which nothing is installed yet: models find there what to ask for."""

from collections.abc import Callable, Iterable

from daemon.prefix.environments_file import has_list, write_environments
from daemon.prefix.prefix import Prefix
from daemon.prefix.writer_lock import writer_lock
from gens.generation import Generation
from gens.selection import Selection


def write_early_lists(
    prefix: Prefix, generations: Iterable[Generation], selection: Selection, say: Callable[[str], None]
) -> None:
    """Write the list of each generation that has none, and of which something is selected.

    Args:
        prefix: The prefix; its folders exist.
        generations: The active generations, newest first.
        selection: The part of each generation that this node holds.
        say: Told who writes to the prefix, when that is another process.

    Raises:
        MonobaseError: The prefix cannot be written to.
        OSError: A list cannot be written.
    """
    missing = [
        generation
        for generation in generations
        if not has_list(prefix, generation.directory_name) and selection.targets(generation)
    ]
    if not missing:
        return
    with writer_lock(prefix, None, say):
        for generation in missing:
            write_environments(prefix, generation, sealed=False, selection=selection)
