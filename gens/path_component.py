"""Checks names that become one component of a path."""

from functools import lru_cache

from gens.errors import DefinitionError

_MAX_BYTES = 200  # of 255: names in the staging folder get a prefix and a suffix
_REMEMBERED = 16_384


@lru_cache(_REMEMBERED)  # names are checked wherever a path is made of them, a hundred times a second
def path_component(name: str) -> str:
    """Return a name if it is a safe component of a path and a safe argument of a program.

    Args:
        name: The name, such as `python3.11-torch2.4.1-cu121`.

    Returns:
        The name, unchanged.

    Raises:
        DefinitionError: The name is empty or too long, begins with a dot or a dash, or contains a slash, a
            blank or a character that is not printable.
    """
    if not name or name[0] in ".-" or "/" in name or " " in name or not name.isprintable():
        raise DefinitionError(
            f"{name!r} cannot be a part of a path: a name there begins with neither dot nor dash, and has "
            "no slash, no blank and nothing invisible in it; correct the definition"
        )
    if len(name.encode("utf-8", "surrogatepass")) > _MAX_BYTES:
        raise DefinitionError(
            f"{name[:40]!r}… cannot be a part of a path: it has more than {_MAX_BYTES} bytes"
        )
    return name
