"""Shortens lists of target names."""

from collections.abc import Iterable, Iterator


def joined_names(names: Iterable[str]) -> Iterator[str]:
    """Join the names of environments that differ only in their Python.

    Args:
        names: Names of environments and toolkits.

    Yields:
        `python{3.10,3.11}-torch2.4.1-cu121`, `python{3.11,3.12}-vllm0.33.0`, or the plain name of a target
        without a partner.
    """
    pythons: dict[str, list[str]] = {}
    for name in names:
        python, separator, rest = name.partition("-")
        if name.startswith("python"):
            pythons.setdefault(separator + rest, []).append(python.removeprefix("python"))
        else:
            pythons[name] = []
    for rest, versions in pythons.items():
        if not versions:
            yield rest
        elif len(versions) == 1:
            yield f"python{versions[0]}{rest}"
        else:
            yield f"python{{{','.join(versions)}}}{rest}"
