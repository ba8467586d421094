"""Writes lists before anything is installed: models find there what to ask for, and what is left out.

That is the list of a generation of which nothing is installed yet, or one of another selection than that of
now. An install would write it as well, but only once it can begin.
"""

from collections.abc import Callable, Iterable

from daemon.prefix.environments_file import has_list, has_readable_list, read_left_out
from daemon.prefix.generation import is_present, read_seal
from daemon.prefix.prefix import Prefix
from daemon.prefix.publication import write_list
from daemon.prefix.writer_lock import writer_lock
from gens.errors import MonobaseError
from gens.generation import Generation
from gens.selection import Selection


def write_early_lists(
    prefix: Prefix, generations: Iterable[Generation], selection: Selection, say: Callable[[str], None]
) -> None:
    """Write the list of each generation that has none, or one of another selection, and holds something.

    Args:
        prefix: The prefix; its folders exist.
        generations: The active generations, newest first.
        selection: The part of each generation that this node holds.
        say: Told who writes to the prefix, when that is another process.

    Raises:
        MonobaseError: The prefix cannot be written to.
        OSError: A list cannot be written.
    """
    due = [
        generation
        for generation in generations
        if selection.targets(generation) and _is_due(prefix, generation, selection)
    ]
    if not due:
        return
    with writer_lock(prefix, None, say) as writer:
        for generation in due:
            write_list(writer, generation, selection)


def _is_due(prefix: Prefix, generation: Generation, selection: Selection) -> bool:
    """Return whether there is no list, or one that calls other things left out than are so now.

    The list of a generation that is sealed as a whole stays, as does what is damaged or of a newer release.
    """
    name = generation.directory_name
    try:
        mark = read_seal(prefix, generation)
        if not has_list(prefix, name):
            return mark is None
        if prefix.generation(name).is_symlink() or not has_readable_list(prefix, name):
            return False
        left_out = {
            target.name
            for target in generation.targets
            if not selection.has(target.name) and not is_present(prefix, generation, target)
        }
    except (MonobaseError, OSError):  # readiness and repair say what is wrong
        return False
    return (mark is None or mark.is_part) and read_left_out(prefix, name) != left_out
