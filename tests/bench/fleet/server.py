"""Nodes that read one wheel after the other from a server: the origin, a registry, a cache."""

import numpy as np

from tests.bench.fleet.assumptions import Assumptions, Way
from tests.bench.fleet.links import Integers
from tests.bench.fleet.simulation import State


class Server:
    """Sends pieces to nodes in the order of the lock.

    A cache has a wheel from the moment on at which the first node has received all of it; whoever asks for it
    before makes the cache read it from the origin once more (docker-registry 2.8 and nginx do so).

    Args:
        way: Which server it is.
        assumptions: The assumptions.
    """

    def __init__(self, way: Way, assumptions: Assumptions) -> None:
        self._way = way
        self._cached = np.zeros(assumptions.wheels, dtype=np.bool_)

    def assign(self, state: State) -> None:
        """Assign the next piece to each node that waits."""
        slots = state.idle_slots(0, state.active)
        nodes = state.receiver[slots]
        pieces = state.have[nodes]
        sender = state.origin if self._way is Way.ALONE else state.store
        state.give(slots, pieces, np.full(len(slots), sender))
        if self._way is Way.CACHE:
            begins = pieces % state.assumptions.pieces_of_wheel == 0
            cached = self._cached[pieces // state.assumptions.pieces_of_wheel]
            # The rest of a wheel comes the way on which it began.
            state.through[slots] = np.where(begins, ~cached, state.through[slots])

    def finished(self, state: State, slots: Integers) -> None:
        """Count the pieces, and take note of the wheels that a cache has."""
        state.have[state.receiver[slots]] += 1
        each = state.assumptions.pieces_of_wheel
        complete = slots[(state.piece[slots] + 1) % each == 0]
        self._cached[state.piece[complete] // each] = True
