"""Compares the Torch table (`gens/torch.bzl`) with the wheels that an index serves."""

from collections.abc import Iterator

from packaging.requirements import Requirement
from packaging.version import Version

from gens.generation import Environment, Inputs
from gens.lock import LockedWheel
from tools.locking.resolver import Resolution

_CUDA_RUNTIMES = ("nvidia-cuda-runtime", "nvidia-cuda-runtime-cu11", "nvidia-cuda-runtime-cu12")


def cell_disagreements(environment: Environment, wheels: tuple[LockedWheel, ...]) -> Iterator[str]:
    """Yield the differences between a resolved environment and the table.

    Args:
        environment: The cell.
        wheels: The wheels that it resolved to.

    Yields:
        Messages.
    """
    versions = {wheel.name: Version(wheel.version) for wheel in wheels}
    torch = versions.get("torch")
    if environment.torch is None:
        if torch is not None and environment.stack is not None:
            yield f"it has torch {torch}, which its packages require and it does not name: pin it"
        if environment.cuda is None:
            return
    elif torch is None or torch.public != environment.torch:
        yield f"the table says torch {environment.torch}, the index gave {torch}"
    if environment.inputs.index_url is not None and torch is not None and torch.local != environment.build:
        yield f"the table says build {environment.build}, the index gave torch {torch}"
    # Builds with CUDA linked statically require no runtime wheels: then there is nothing to compare.
    for name in _CUDA_RUNTIMES:
        if name in versions:
            cuda = ".".join(str(part) for part in versions[name].release[:2])
            if cuda != environment.cuda:
                promised = f"CUDA {environment.cuda}" if environment.cuda else "no CUDA"
                yield f"the table says {promised}, the index gave {name} {versions[name]}"


def absence_disagreement(absence: Inputs, outcome: object) -> str | None:
    """Return a message if the index has a wheel that the table lists as absent.

    Args:
        absence: Inputs that should not resolve.
        outcome: Outcome of their resolution.

    Returns:
        A message, or None.
    """
    if not isinstance(outcome, Resolution):
        return None
    requirement = absence.requirements[-1]
    beside = "".join(f" beside {other}" for other in absence.requirements[:-1])
    name = Requirement(requirement).name
    filename = ", ".join(wheel.filename for wheel in outcome.wheels if wheel.name == name)
    return (
        f"gens/releases.json says there is no {requirement}{beside} for Python {absence.python}, the index "
        f"gave {filename}; run `bazel run //tools:update_releases`"
    )
