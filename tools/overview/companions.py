"""Versions of Torch's companions in environments."""

from collections.abc import Iterable

from packaging.requirements import Requirement

from gens.generation import Environment

COMPANIONS = ("torchvision", "torchaudio")


def companion(cells: Iterable[Environment], package: str) -> str:
    """Return the version of a companion of Torch, `-` for none, with the Pythons that lack it if some do."""
    versions: dict[str, str] = {}
    without: set[str] = set()
    for cell in cells:
        version = pinned(cell, package)
        if version is None:
            without.add(cell.python)
        else:
            versions[cell.python] = version
    note = f" (not {', '.join(sorted(without))})" if versions and without else ""
    return (", ".join(sorted(set(versions.values()))) or "-") + note


def pinned(cell: Environment, package: str) -> str | None:
    """Return the version of a package that the definition of an environment names, or None."""
    for requirement in map(Requirement, cell.inputs.requirements):
        if requirement.name == package:
            (specifier,) = requirement.specifier
            return specifier.version.partition("+")[0]
    return None
