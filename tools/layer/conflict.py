"""Tells a conflict in the author's terms: who wants what, and which pin of the base is in the way."""

from tools.layer.errors import ConflictError
from tools.layer.solver import SecondAcceleratorError, Solver
from tools.locking.resolver import UnsatisfiableError


def explain(solver: Solver, error: UnsatisfiableError | SecondAcceleratorError) -> ConflictError:
    """Return the conflict of a question in the author's terms."""
    if isinstance(error, SecondAcceleratorError):
        reasons = "; ".join(f"{name} {version}: {why}" for name, (version, why) in error.found.items())
        return ConflictError(f"{solver.base.name}: a layer has no second Torch or CUDA: {reasons}")
    return ConflictError(f"{solver.base.name}: the requirements do not fit; uv says:\n{error}")
