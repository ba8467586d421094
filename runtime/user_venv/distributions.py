"""Lists the distributions that are installed in a site-packages, by their metadata."""

import re
from dataclasses import dataclass
from pathlib import Path

from .files import NEW

INSTALLER = "monobase"  # in the file INSTALLER of each copy that Monobase made


@dataclass(frozen=True)
class Distribution:
    """An installed distribution.

    Attributes:
        folder: Its `.dist-info` folder, or the file that an old tool left instead.
        name: Its normalized name.
        version: Its version.
    """

    folder: Path
    name: str
    version: str


def normalized(name: str) -> str:
    """Return the form of a project's name in which names are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(library: Path) -> dict[str, Distribution]:
    """Return the distributions in a folder, whatever state their metadata is in, but not Monobase's copies.

    Args:
        library: A site-packages.

    Returns:
        The distributions by normalized name.
    """
    return {found.name: found for found in distributions(library) if not is_copy(found)}


def distributions(library: Path) -> list[Distribution]:
    """Return the distributions in a folder, Monobase's copies included.

    Args:
        library: A site-packages.
    """
    found = []
    for path in sorted(library.iterdir()):
        stem, dot, kind = path.name.rpartition(".")
        if not dot or kind not in ("dist-info", "egg-info", "egg-link") or path.name.startswith(NEW):
            continue
        name, version = [*re.sub(r"-py\d[\d.]*$", "", stem).rsplit("-", 1), ""][:2]
        found.append(Distribution(path, normalized(name), version))
    return found


def is_copy(distribution: Distribution) -> bool:
    """Return whether the metadata is a copy that Monobase made, without the files of the distribution."""
    try:
        return (distribution.folder / "INSTALLER").read_text().strip() == INSTALLER
    except (OSError, UnicodeDecodeError):
        return False


def is_torn_copy(distribution: Distribution, theirs: dict[str, Distribution]) -> bool:
    """Return whether a former runtime was killed while it copied: the folder lacks all that names its owner.

    Args:
        distribution: A distribution of the venv.
        theirs: The distributions of the base, by name.
    """
    base = theirs.get(distribution.name)
    return (
        base is not None
        and base.folder.name == distribution.folder.name
        and not any((distribution.folder / name).exists() for name in ("METADATA", "INSTALLER", "RECORD"))
    )
