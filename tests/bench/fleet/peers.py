"""Nodes that read from each other and from seeds, as Dragonfly's scheduler arranges it.

A node that needs a piece asks some peers of its rack, then some of the fleet, then a holder that the
scheduler knows, then a seed. Senders that send as much as they may are passed over. The seeds read each
piece once.
"""

import numpy as np
import numpy.typing as npt

from tests.bench.fleet.assumptions import Assumptions
from tests.bench.fleet.bits import Words, add, bits_from, empty_sets, first_from, has, remove
from tests.bench.fleet.links import Integers
from tests.bench.fleet.simulation import IDLE, Flags, State

_NEAR, _FAR = 3, 3
_HOLDERS = 8


class Peers:
    """Sends pieces among nodes.

    Args:
        assumptions: The assumptions.
    """

    def __init__(self, assumptions: Assumptions) -> None:
        count, seeds = assumptions.nodes, assumptions.swarm.seeds
        pieces = assumptions.pieces
        self._held: Words = empty_sets(count + seeds, pieces)
        self._coming: Words = empty_sets(count, pieces)
        self._wrong: Words = empty_sets(count, pieces)
        self._refused: Flags = np.zeros((count, assumptions.wheels), dtype=np.bool_)
        self._suffixes = bits_from(pieces)
        self._all = np.arange(pieces)
        self._holders: Integers = np.full((pieces, _HOLDERS), IDLE, dtype=np.int64)
        self._copies: Integers = np.zeros(pieces, dtype=np.int64)
        self._readers: Integers = np.full(pieces, assumptions.swarm.origin_readers, dtype=np.int64)
        self._alive: Flags = np.ones(seeds, dtype=np.bool_)
        self._queues = [[int(each) for each in self._all[seed::seeds]][::-1] for seed in range(seeds)]
        self._limits = np.concatenate(
            [np.full(count, assumptions.swarm.uploads), np.full(seeds, assumptions.swarm.seed_uploads)]
        )

    # --- choosing ---

    def assign(self, state: State) -> None:
        """Assign a piece and its sender to idle slots."""
        self._lose_seed(state)
        self._forget_dropped(state)
        self._feed_seeds(state)
        lost = state.assumptions.faults.scheduler_is_lost(state.now_s)
        for number in range(state.slots):
            active = state.active
            self._read_again(state, state.idle_slots(number, active & (state.again > self._under_way(state))))
            slots = state.idle_slots(number, active & (state.have < state.assumptions.pieces))
            slots = state.random.permutation(slots)
            if lost:
                self._read_past_peers(state, slots)
                continue
            for candidates in (self._near_and_far, self._known_holders, self._seeds):
                slots = self._ask(state, slots, candidates(state, slots))
            if not self._alive.any():
                self._read_as_peer(state, slots)

    def _wanted(self, nodes: Integers) -> Words:
        return ~(self._held[nodes] | self._coming[nodes])

    def _near_and_far(self, state: State, slots: Integers) -> Integers:
        """Return some peers for each slot: first of its rack, then of the fleet."""
        nodes = state.receiver[slots]
        count, rack = state.assumptions.nodes, state.assumptions.network.rack_nodes
        near = state.rack[nodes][:, None] * rack + state.random.integers(0, rack, (len(slots), _NEAR))
        far = state.random.integers(0, count, (len(slots), _FAR))
        return np.concatenate([np.minimum(near, count - 1), far], axis=1)

    def _known_holders(self, state: State, slots: Integers) -> Integers:
        """Return the holders of a piece that each slot wants, as the scheduler knows them."""
        nodes = state.receiver[slots]
        offsets = state.random.integers(0, len(self._all), len(slots))
        known = empty_sets(1, len(self._all))
        add(known, np.zeros(int((self._copies > 0).sum()), dtype=np.int64), self._all[self._copies > 0])
        pieces = first_from(self._wanted(nodes) & known, self._suffixes, offsets)
        holders = np.where(pieces[:, None] >= 0, self._holders[pieces], nodes[:, None])
        found: Integers = np.where(holders == IDLE, nodes[:, None], holders)
        return found

    def _seeds(self, state: State, slots: Integers) -> Integers:
        """Return a seed for each slot, or the node itself, which has nothing that it wants."""
        alive = np.flatnonzero(self._alive)
        if not len(alive):
            return state.receiver[slots][:, None]
        drawn: Integers = state.random.choice(alive, (len(slots), min(2, len(alive))))
        seeds: Integers = state.assumptions.nodes + drawn
        return seeds

    def _ask(self, state: State, slots: Integers, candidates: Integers) -> Integers:
        """Begin for each slot a piece of its first useful candidate that may send; return the other slots."""
        if not len(slots):
            return slots
        nodes = state.receiver[slots]
        load = self._load(state)
        wanted = self._wanted(nodes)
        useful = ((self._held[candidates] & wanted[:, None, :]) != 0).any(axis=2)
        useful &= load[candidates] < self._limits[candidates]
        column = useful.argmax(axis=1)
        found = useful[np.arange(len(slots)), column]
        chosen = candidates[np.arange(len(slots)), column]
        # Of those that ask one sender in the same moment, only as many as it may send to.
        accepted = found.copy()
        asking = np.flatnonzero(found)
        accepted[asking] = _rank(chosen[asking]) < (self._limits - load)[chosen[asking]]
        rows = np.flatnonzero(accepted)
        offsets = state.random.integers(0, len(self._all), len(rows))
        pieces = first_from(self._held[chosen[rows]] & wanted[rows], self._suffixes, offsets)
        self._begin(state, slots[rows], pieces, chosen[rows])
        others: Integers = slots[~accepted]
        return others

    def _begin(self, state: State, slots: Integers, pieces: Integers, senders: Integers) -> None:
        state.give(slots, pieces, senders)
        add(self._coming, state.receiver[slots], pieces)

    def _load(self, state: State) -> Integers:
        busy = state.sender[state.piece != IDLE]
        return np.bincount(busy, minlength=len(state.sent))[: len(self._limits)]

    # --- the origin ---

    def _feed_seeds(self, state: State) -> None:
        """Begin the next piece of each seed, from the origin."""
        first = state.assumptions.nodes * state.slots
        for seed, queue in enumerate(self._queues):
            slot = np.array([first + seed])
            if self._alive[seed] and queue and state.piece[slot[0]] == IDLE and state.active.any():
                state.give(slot, np.array([queue.pop()]), np.array([state.origin]))

    def _read_as_peer(self, state: State, slots: Integers) -> None:
        """Without seeds: let as many nodes as may read a piece from the origin that nobody has."""
        nodes = state.receiver[slots]
        allowed = empty_sets(1, len(self._all))
        free = self._all[(self._readers > 0) & (self._copies == 0)]
        add(allowed, np.zeros(len(free), dtype=np.int64), free)
        offsets = state.random.integers(0, len(self._all), len(slots))
        pieces = first_from(self._wanted(nodes) & allowed, self._suffixes, offsets)
        rows = np.flatnonzero(pieces >= 0)
        rows = rows[_rank(pieces[rows]) < self._readers[pieces[rows]]]
        np.subtract.at(self._readers, pieces[rows], 1)
        self._begin(state, slots[rows], pieces[rows], np.full(len(rows), state.origin))

    def _read_past_peers(self, state: State, slots: Integers) -> None:
        """Without a scheduler: the daemon goes on to its next source, as if there were no peers."""
        offsets = state.random.integers(0, len(self._all), len(slots))
        pieces = first_from(self._wanted(state.receiver[slots]), self._suffixes, offsets)
        rows = np.flatnonzero(pieces >= 0)
        self._begin(state, slots[rows], pieces[rows], np.full(len(rows), state.origin))

    def _read_again(self, state: State, slots: Integers) -> None:
        """Read pieces of wheels that were wrong from the origin; they stand behind the numbers of pieces."""
        state.give(slots, np.full(len(slots), len(self._all)), np.full(len(slots), state.origin))

    def _under_way(self, state: State) -> Integers:
        """Return how many pieces each node reads again just now."""
        again = state.receiver[state.piece == len(self._all)]
        return np.bincount(again, minlength=state.assumptions.nodes)

    # --- what arrives, what is lost ---

    def finished(self, state: State, slots: Integers) -> None:
        """Take note of the pieces that have arrived."""
        again = state.piece[slots] == len(self._all)
        np.subtract.at(state.again, state.receiver[slots[again]], 1)
        state.reread += float(again.sum())
        slots = slots[~again]
        receivers, pieces = state.receiver[slots], state.piece[slots]
        add(self._held, receivers, pieces)
        is_node = receivers < state.assumptions.nodes
        np.add.at(state.have, receivers[is_node], 1)
        self._note_wrong(state, slots[is_node])
        np.add.at(self._copies, pieces, 1)
        self._holders[pieces, state.random.integers(0, _HOLDERS, len(pieces))] = receivers
        unknown = self._holders[pieces, 0] == IDLE
        self._holders[pieces[unknown], 0] = receivers[unknown]
        self._complete_wheels(state, np.unique(receivers[is_node]))

    def _note_wrong(self, state: State, slots: Integers) -> None:
        """Note which pieces came from a poisoned peer, or from one that had them from there."""
        faults = state.assumptions.faults
        if not faults.poisoned:
            return
        senders, pieces = state.sender[slots], state.piece[slots]
        is_node = senders < state.assumptions.nodes
        slots, senders, pieces = slots[is_node], senders[is_node], pieces[is_node]
        wrong = (senders < faults.poisoned) | has(self._wrong, senders, pieces)
        add(self._wrong, state.receiver[slots[wrong]], pieces[wrong])

    def _complete_wheels(self, state: State, nodes: Integers) -> None:
        """Note which complete wheels have a wrong hash: their nodes read them again."""
        assumptions = state.assumptions
        if not assumptions.faults.poisoned:
            return
        shape = (len(nodes), assumptions.wheels, assumptions.pieces_of_wheel)
        held, wrong = (
            np.unpackbits(sets[nodes].view(np.uint8), axis=1, bitorder="little").reshape(shape)
            for sets in (self._held, self._wrong)
        )
        refused = held.all(axis=2) & wrong.any(axis=2) & ~self._refused[nodes]
        self._refused[nodes] |= refused
        state.again[nodes] += refused.sum(axis=1) * assumptions.pieces_of_wheel

    def _lose_seed(self, state: State) -> None:
        """Lose the first seed when its time has come; the others read what nobody else has."""
        lost_s = state.assumptions.faults.seed_lost_s
        if lost_s is None or state.now_s < lost_s or not self._alive.size or not self._alive[0]:
            return
        seed = state.assumptions.nodes
        self._alive[0] = False
        state.drop(np.flatnonzero((state.receiver == seed) | (state.sender == seed)))
        held = has(self._held, np.full(len(self._all), seed), self._all)
        self._copies[held] -= 1
        self._holders[self._holders == seed] = IDLE
        self._held[seed] = 0
        queued = {piece for queue in self._queues for piece in queue}
        others = np.flatnonzero(self._alive)
        first = state.assumptions.nodes * state.slots
        under_way = set(state.piece[first:].tolist())
        orphans = [int(each) for each in self._all[self._copies == 0] if each not in queued | under_way]
        for number, piece in enumerate([*orphans, *self._queues[0]]):
            if len(others):
                self._queues[int(others[number % len(others)])].append(piece)
        self._queues[0] = []

    def _forget_dropped(self, state: State) -> None:
        """Make the pieces of ended flows wanted again."""
        for receivers, pieces, senders in state.dropped:
            is_piece = (receivers < state.assumptions.nodes) & (pieces < len(self._all))
            remove(self._coming, receivers[is_piece], pieces[is_piece])
            np.add.at(self._readers, pieces[is_piece & (senders == state.origin)], 1)
        state.dropped.clear()


def _rank(values: Integers) -> Integers:
    """Return of each value how many equal ones stand before it."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]]) if len(values) else np.zeros(0, bool)
    start = np.maximum.accumulate(np.where(first, np.arange(len(values)), 0))
    ranks: npt.NDArray[np.int64] = np.empty(len(values), dtype=np.int64)
    ranks[order] = np.arange(len(values)) - start
    return ranks
