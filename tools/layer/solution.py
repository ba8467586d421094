"""The delta of a layer: what its lock pins."""

from dataclasses import dataclass
from pathlib import Path

from gens.lock import LockedWheel
from layers.lock import Built, Override


@dataclass(frozen=True, slots=True)
class Solution:
    """The delta of a layer.

    Attributes:
        wheels: What the base lacks, by name.
        built: Those that are on no index.
        files: The files of `built`.
        overrides: Packages of the base that are replaced.
        shared: Names of packages that the requirements need and the base has.
        own_index: Whether a wheel comes from the index of the base's build of Torch.
        warnings: Warnings of uv.
    """

    wheels: tuple[LockedWheel, ...]
    built: tuple[Built, ...]
    files: tuple[Path, ...]
    overrides: tuple[Override, ...]
    shared: tuple[str, ...]
    own_index: bool
    warnings: tuple[str, ...]
