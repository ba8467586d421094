"""The list of packages that a person edits, `packages.txt`: names by layer, each with its reason."""

import re
from collections.abc import Mapping
from pathlib import Path

from image.errors import ImageError

_LAYER = re.compile(r"\[([a-z][a-z0-9-]*)\]")
_NAME = re.compile(r"\??[a-z0-9][a-z0-9+.-]+")


def parse_package_list(text: str, path: Path) -> Mapping[str, tuple[str, ...]]:
    """Read the list.

    Args:
        text: The text of the file.
        path: The file, for messages.

    Returns:
        The names by layer, the lowest layer first; `?essential` means Debian's essential packages.

    Raises:
        ImageError: A line is malformed, or has no reason.
    """
    layers: dict[str, list[str]] = {}
    names: list[str] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        word, _, reason = (part.strip() for part in line.partition("#"))
        if not word:
            continue
        if (layer := _LAYER.fullmatch(word)) is not None:
            if layer[1] in layers:
                raise ImageError(f"{path}:{number}: layer {layer[1]} is declared twice; remove one")
            names = layers[layer[1]] = []
            continue
        if names is None or _NAME.fullmatch(word) is None or not reason:
            raise ImageError(
                f"{path}:{number}: expected a package's name, a # and its reason, below a [layer]: {line!r}"
            )
        if any(word in others for others in layers.values()):
            raise ImageError(f"{path}:{number}: lists {word} twice; remove one: upper layers have it as well")
        names.append(word)
    empty = [layer for layer, found in layers.items() if not found]
    if empty or not layers:
        raise ImageError(f"{path}: {f'layer {empty[0]} names no package' if empty else 'has no [layer]'}")
    return {layer: tuple(found) for layer, found in layers.items()}
