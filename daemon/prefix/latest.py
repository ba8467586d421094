"""The link `latest`: it names the newest active generation of which all that is selected is sealed."""

import os
from collections.abc import Sequence
from pathlib import Path

from daemon.host.durability import write_symlink
from daemon.host.fault import fault_point
from daemon.prefix.generation import read_seal
from daemon.prefix.prefix import Prefix, is_generation_name
from daemon.prefix.writer_lock import WriterLock
from gens.generation import Generation


def latest_name(prefix: Prefix) -> str | None:
    """Return the name of the generation that `latest` leads to, however the link is spelled, or None."""
    try:
        text = str(prefix.latest.readlink())
        place = Path(os.path.realpath(prefix.latest))
        if place.parent.samefile(prefix.generations) and is_generation_name(place.name):
            return place.name
    except OSError:
        return None
    return text


def point_latest(writer: WriterLock, generations: Sequence[Generation]) -> str | None:
    """Point `latest` at the newest of some generations.

    Args:
        writer: The right to write to the prefix.
        generations: The active generations of which all that is selected is sealed. One without a mark is
            left out.

    Returns:
        Its name; None when there is none, and then `latest` stays as it was.

    Raises:
        PrefixInUseError: Another process may be the writer by now.
    """
    prefix = writer.prefix
    sealed = [generation for generation in generations if read_seal(prefix, generation) is not None]
    if not sealed:
        return None
    name = max(sealed, key=lambda generation: generation.id).directory_name
    if not prefix.latest.is_symlink() or str(prefix.latest.readlink()) != name:
        writer.check()
        write_symlink(prefix.latest, name)
        fault_point("seal:latest")
    return name
