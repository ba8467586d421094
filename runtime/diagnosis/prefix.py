"""The node's prefix, as this container sees it."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from .finding import Finding
from .offer import Offer

DEFAULT = "/srv/r8/monobase"


def prefix_of(variables: Mapping[str, str]) -> Path:
    """Return the folder that variables name as the prefix."""
    return Path(variables.get("MONOBASE_PREFIX") or DEFAULT)


def generation_folder(variables: Mapping[str, str], environment: Path | None) -> Path | None:
    """Return the folder of the generation that is activated, or else of the one that would be.

    Args:
        variables: The variables of the container.
        environment: The activated environment, or None.

    Returns:
        The folder; None if there is none.
    """
    if environment is not None:
        return environment.parent
    folder = prefix_of(variables) / "monobase"
    asked = re.fullmatch(r"g?0*([0-9]{1,9})", variables.get("MONOBASE_GEN_ID", ""))
    if asked is not None:
        found = folder / f"g{int(asked[1]):05}"
    elif (folder / "latest").exists():
        found = folder / "latest"
    else:
        # No generation is sealed yet: activation uses the newest.
        found = max(_generations(folder), default=folder / "latest")
    return found.resolve() if found.is_dir() else None


def _generations(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("g[0-9][0-9][0-9][0-9][0-9]*") if path.is_dir())


def check_prefix(variables: Mapping[str, str], offer: Offer | None) -> Finding:
    """Report whether the prefix is mounted, and how.

    Args:
        variables: The variables of the container.
        offer: What the generation offers; None if there is no list.

    Returns:
        What was found.
    """
    prefix = prefix_of(variables)
    if not prefix.is_dir():
        return Finding(
            "prefix", "problem", f"{prefix} is not mounted",
            ("Mount the node's folder there, read-only (a hostPath volume), or set MONOBASE_PREFIX.",),
        )  # fmt: skip
    status = os.statvfs(prefix)
    mode = "read-only" if status.f_flag & os.ST_RDONLY else "not read-only"
    if offer is None:
        others = ", ".join(path.name for path in _generations(prefix / "monobase"))
        if others and generation_folder(variables, None) is None:
            return Finding(
                "prefix", "problem", f"{prefix} ({mode}) has not the generation that MONOBASE_GEN_ID names",
                (f"It has {others}: set MONOBASE_GEN_ID to one of them, or widen the daemon's range.",),
            )  # fmt: skip
        return Finding(
            "prefix", "problem", f"{prefix} ({mode}) has no list of environments for this generation",
            ("Is the daemon at work on this node? Its page and `monobase status` say what it does.",),
        )  # fmt: skip
    ready = sum(listed.ready for listed in offer.environments.values())
    installed = f"{ready} of {len(offer.environments)} environments installed"
    found = f"{prefix}, {mode}; {offer.generation} is {offer.state}, {installed}"
    if not status.f_flag & os.ST_RDONLY and os.access(prefix / "monobase", os.W_OK):
        return Finding(
            "prefix", "warning", f"{found}; this user can write to it",
            ("Mount it read-only: what a model changes there reaches all models of the node.",),
        )  # fmt: skip
    return Finding("prefix", "ok", found)
