"""The layer on top of the environment, if the model has one."""

import os
from collections.abc import Mapping
from pathlib import Path

from .finding import Finding

_NAME = ".monobase-layer"
_KEYS = ["generation", "environment", "base", "content"]
_AGAIN = "Make it again: `monobase-layer install model.lock --to {layer}`."


def check_layer(variables: Mapping[str, str], environment: Path | None) -> Finding | None:
    """Report whether the layer is whole, and was made for the environment.

    Args:
        variables: The variables of the container.
        environment: The activated environment, or None.

    Returns:
        What was found; None if the variables name no layer.
    """
    named = variables.get("MONOBASE_USER_VENV", variables.get("VIRTUAL_ENV", ""))
    layer = Path(named)
    if not named or not os.path.lexists(layer / _NAME):
        return None
    try:
        text = (layer / _NAME).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        text = str(error)
    first, *lines = [line.split(" ") for line in text.splitlines()] or [[]]
    if first[:1] == ["monobase-layer"] and first[1:] != ["1"]:
        return Finding(
            "layer", "problem", f"{layer} is of format {' '.join(first[1:])}, newer than this runtime",
            ("Build the image on a newer monobase-runtime.",),
        )  # fmt: skip
    if first != ["monobase-layer", "1"] or [line[0] for line in lines[:4]] != _KEYS:
        return _problem(f"{layer} is damaged: its {_NAME} cannot be read", layer)
    generation, name, _, content = (" ".join(line[1:]) for line in lines[:4])
    python = layer / "bin" / "python"
    if not python.exists():
        return Finding(
            "layer", "problem", f"{python} leads to {os.path.realpath(python)}, which is not here",
            ("A layer is made for one prefix: `monobase-layer install … --prefix` names another.",),
        )  # fmt: skip
    found = f"{layer}, made for {generation}/{name}"
    if environment is None:
        return Finding("layer", "note", found)
    if not list(layer.glob(f"lib/{environment.name.partition('-')[0]}/site-packages")):
        return _problem(f"{found}, has no packages for the Python of {environment.name}", layer)
    below = _content_of(environment)
    is_same_name = (generation, name) == (environment.parent.resolve().name, environment.name)
    if not (is_same_name if "-" in {content, below} else content == below):
        fit = variables.get("MONOBASE_LAYER_FIT") or "on"
        return Finding(
            "layer", "problem" if fit == "on" else "warning",
            f"{found} (wheels {content}); the environment is "
            f"{environment.parent.name}/{environment.name} (wheels {below})",
            ("Activate the environment that it was made for, or lock again for this one.",),
        )  # fmt: skip
    return Finding("layer", "ok", found)


def _problem(found: str, layer: Path) -> Finding:
    return Finding("layer", "problem", found, (_AGAIN.format(layer=layer),))


def _content_of(environment: Path) -> str:
    """Return the digest of an environment's wheels, or `-` if it is unknown."""
    try:
        text = (environment / ".content").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "-"
    return f"sha256:{text}" if text else "-"
