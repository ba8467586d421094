"""The names in a layer that no wheel may have, and the paths of wheels that lead out of it."""

import os
from collections.abc import Iterator
from pathlib import Path

from layers.errors import LayerWheelError
from layers.lock import LayerLock
from layers.overlay_module import HOOK, HOOK_PATH
from layers.record import records

_OF_LAYER = ("pyvenv.cfg", "lib64", ".lock")
_OF_MONOBASE = ".monobase"
_OF_SCRIPTS = ("python", "python3")


def check_names(lock: LayerLock, layer: Path, packages: Path) -> None:
    """Check that wheels have no file where a layer has one of its own, and none outside the layer.

    Case does not count, as a layer may come to a disk where it does not.

    Args:
        lock: The lock.
        layer: The layer, before its own files are written.
        packages: Its site-packages.

    Raises:
        LayerWheelError: A wheel has such a file; the message names both.
    """
    filenames = {wheel.name: wheel.filename for wheel in lock.wheels}
    owners: dict[str, str] = {}
    for owner, record, rows in records(packages):
        filename = filenames.get(owner, record.parent.name)
        for path, *_ in rows:
            inside = _inside(packages, path, layer)
            if inside is None:
                raise LayerWheelError(
                    f"{filename}: its RECORD lists {path}, which is outside of what a wheel may install; "
                    "lock another version of it"
                )
            owners[inside] = filename
    for taken in _taken(lock, layer, packages):
        inside = os.path.relpath(taken, layer)
        found = {filename for path, filename in owners.items() if f"{path}/".startswith(f"{inside}/")}
        named = " and ".join(sorted(found)) or "one of " + ", ".join(sorted(filenames.values()))
        raise LayerWheelError(
            f"{named}: has {inside}, a name that each layer has for a file of its own; lock another version"
        )


def _inside(packages: Path, path: str, layer: Path) -> str | None:
    """Return a path of a RECORD from the layer on; None if it is not one of the layer."""
    whole = os.path.normpath(packages / path)
    inside = os.path.relpath(whole, layer)
    is_within = not path.startswith("/") and inside.partition("/")[0] != ".."
    # uv installs nothing by such a name, other than the files of `.data`.
    is_there = os.path.lexists(whole) or ".." not in path.split("/")
    return inside if is_within and is_there else None


def _taken(lock: LayerLock, layer: Path, packages: Path) -> Iterator[str]:
    scripts = (*_OF_SCRIPTS, f"python{lock.python}")
    for folder, own in ((layer, _OF_LAYER), (layer / "bin", scripts), (packages, (HOOK, HOOK_PATH))):
        for name in sorted(os.listdir(folder)):  # noqa: PTH208 (names are compared)
            if name.casefold() in own or (folder == layer and name.casefold().startswith(_OF_MONOBASE)):
                yield os.path.join(folder, name)  # noqa: PTH118 (as names are compared)
