"""The arithmetic of a rollout: turns, and what one takes."""

import math

from tests.bench.fleet.assumptions import Rollout


def turns_of(nodes: int, rollout: Rollout) -> int:
    """Return how often a full number of nodes begins, one after the other."""
    return math.ceil(nodes / (rollout.at_once or nodes))


def rollout_s(turns: int, turn_s: float, rollout: Rollout) -> float:
    """Return the time of a rollout, at most.

    A node's turn is over when it was ready for `minReadySeconds`. Nodes do not wait for those that began with
    them, so that this is an upper bound: the jitter of one is not that of the next.

    Args:
        turns: From `turns_of`.
        turn_s: From the begin of a node until it is ready, without jitter, with as many others at once.
        rollout: The order.
    """
    return turns * (turn_s + rollout.jitter_s + rollout.min_ready_s)
