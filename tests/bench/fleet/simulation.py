"""The simulation: time goes on in steps, and in each the flows share the links.

A flow brings one piece to one node (or seed). A step is at most the time that the fastest flow needs for
a piece; what it receives beyond its piece counts for its next one.
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from tests.bench.fleet.assumptions import Assumptions, Way
from tests.bench.fleet.links import Floats, Integers, share_links
from tests.bench.fleet.outcome import Outcome

Flags = npt.NDArray[np.bool_]

IDLE = -1
_OUTSIDE = -1
_SHORTEST_S = 0.01
_WAIT_S = 1.0
_TOO_LONG = 2_000_000


class Sources(Protocol):
    """Chooses where each piece comes from."""

    def assign(self, state: "State") -> None:
        """Assign a piece and its sender to idle slots of active nodes."""

    def finished(self, state: "State", slots: Integers) -> None:
        """Take note of the pieces that have arrived in some slots, before these become idle."""


class State:
    """The fleet at one moment.

    A slot is the place for one flow; those of a node stand together. Behind the slots of nodes, each seed has
    one, which receives from the origin. Senders are numbered: nodes, seeds, the origin, the store.

    Args:
        assumptions: The assumptions.
        slots: Slots of each node.
    """

    def __init__(self, assumptions: Assumptions, slots: int) -> None:
        self.assumptions = assumptions
        self.random = np.random.default_rng(assumptions.seed)
        count, seeds = assumptions.nodes, assumptions.swarm.seeds
        self.now_s = 0.0
        self.slots = slots
        self.origin, self.store = count + seeds, count + seeds + 1
        total = count * slots + seeds
        self.receiver = np.concatenate([np.repeat(np.arange(count), slots), count + np.arange(seeds)])
        self.piece: Integers = np.full(total, IDLE, dtype=np.int64)
        self.sender: Integers = np.full(total, IDLE, dtype=np.int64)
        self.through: Flags = np.zeros(total, dtype=np.bool_)  # through the store, from the origin
        self.progress: Floats = np.zeros(total)
        self.have: Integers = np.zeros(count, dtype=np.int64)
        self.again: Integers = np.zeros(count, dtype=np.int64)  # pieces that are to be read past the peers
        self.unpacked: Floats = np.zeros(count)
        self.begin_s: Floats = np.full(count, np.inf)
        self.away: Flags = np.zeros(count, dtype=np.bool_)
        self.ready_s: Floats = np.full(count, np.inf)
        self.sent: Floats = np.zeros(count + seeds + 2)  # pieces
        self.relayed = 0.0  # pieces that the store read from the origin
        self.reread = 0.0  # pieces, as all of these
        self.into_seeds = 0.0
        self.lost = 0.0
        # Receivers, pieces and senders of flows that were ended; `Sources` empties it.
        self.dropped: list[tuple[Integers, Integers, Integers]] = []
        self.rack: Integers = np.full(count + seeds + 2, _OUTSIDE, dtype=np.int64)
        self.rack[:count] = np.arange(count) // assumptions.network.rack_nodes
        self._capacity = self._capacities()

    @property
    def active(self) -> Flags:
        """Nodes that receive."""
        pieces = self.assumptions.pieces
        is_missing = (self.have < pieces) | (self.again > 0)
        return (self.begin_s <= self.now_s) & is_missing & ~self.away

    def idle_slots(self, number: int, nodes: Flags) -> Integers:
        """Return the idle ones of the slots with a number of some nodes."""
        slots = np.flatnonzero(nodes) * self.slots + number
        idle: Integers = slots[self.piece[slots] == IDLE]
        return idle

    def give(self, slots: Integers, pieces: Integers, senders: Integers) -> None:
        """Begin flows."""
        self.piece[slots], self.sender[slots] = pieces, senders

    def drop(self, slots: Integers) -> None:
        """End flows; what they have received is lost."""
        busy = slots[self.piece[slots] != IDLE]
        self.lost += float(self.progress[busy].sum()) / self.assumptions.piece_bytes
        self.dropped.append((self.receiver[busy], self.piece[busy], self.sender[busy]))
        self.progress[slots] = 0
        self.piece[slots] = self.sender[slots] = IDLE
        self.through[slots] = False

    def rates(self, slots: Integers) -> Floats:
        """Return the bytes a second of flows."""
        count, senders = self.assumptions.nodes, len(self.sent)
        receiver, sender = self.receiver[slots], self.sender[slots]
        racks = self._racks
        down = senders + receiver
        is_cross = self.rack[sender] != self.rack[receiver]
        none = len(self._capacity) - 1
        base = senders + count + self.assumptions.swarm.seeds
        out = np.where(is_cross & (self.rack[sender] >= 0), base + self.rack[sender], none)
        into = np.where(is_cross & (self.rack[receiver] >= 0), base + racks + self.rack[receiver], none)
        origin = np.where(self.through[slots], self.origin, none)
        return share_links(self._capacity, np.stack([sender, down, out, into, origin], axis=1))

    @property
    def _racks(self) -> int:
        return int(self.rack.max()) + 1

    def _capacities(self) -> Floats:
        """Return the capacity of: senders, receivers, racks out, racks in, no limit."""
        network, count = self.assumptions.network, self.assumptions.nodes
        seeds, racks = self.assumptions.swarm.seeds, self._racks
        rack = network.node * network.rack_nodes / network.oversubscription
        store = network.registry
        cards = [np.full(count, network.node), np.full(seeds, network.seed)]
        uplinks = np.full(2 * racks, max(rack, network.node))
        servers = np.array([network.origin, store])
        return np.concatenate([*cards, servers, *cards, uplinks, [np.inf]])

    def set_store(self, capacity: float) -> None:
        """Set what the store sends at most."""
        self._capacity[self.store] = capacity


class Simulation:
    """A run of the model.

    Args:
        state: The fleet.
        sources: Where pieces come from.
        way: The name of that.
    """

    def __init__(self, state: State, sources: Sources, way: Way) -> None:
        self._state = state
        self._sources = sources
        self._way = way
        assumptions = state.assumptions
        self._to_begin = 0
        self._jitter = state.random.random(assumptions.nodes) * assumptions.rollout.jitter_s
        self._restarts = self._plan_restarts()
        self._steps = 0

    def run(self) -> Outcome:
        """Run until all nodes are ready."""
        state = self._state
        while not np.isfinite(state.ready_s).all():
            self._steps += 1
            if self._steps > _TOO_LONG:
                raise RuntimeError(f"the model does not end: {int(np.isfinite(state.ready_s).sum())} ready")
            self._begin_nodes()
            self._restart_nodes()
            self._sources.assign(state)
            self._step()
        return self._outcome()

    def _begin_nodes(self) -> None:
        """Begin the next nodes as a DaemonSet does: at most so many are not available at a time."""
        state, rollout = self._state, self._state.assumptions.rollout
        count = state.assumptions.nodes
        at_once = rollout.at_once or count
        available = int((state.ready_s + rollout.min_ready_s <= state.now_s).sum())
        last = min(count, available + at_once)
        if last > self._to_begin:
            new = np.arange(self._to_begin, last)
            state.begin_s[new] = state.now_s + state.assumptions.machine.start_s + self._jitter[new]
            self._to_begin = last

    def _plan_restarts(self) -> tuple[Floats, Floats]:
        """Return when each node's daemon goes away, and comes back."""
        state, faults = self._state, self._state.assumptions.faults
        count, machine = state.assumptions.nodes, state.assumptions.machine
        share = state.random.random(count)
        after_s = state.random.random(count) * state.assumptions.size_bytes / machine.processing
        gone_s = np.where(share < faults.restarts, after_s, np.inf)
        return gone_s, gone_s + faults.restart_s

    def _restart_nodes(self) -> None:
        state = self._state
        if not state.assumptions.faults.restarts:
            return
        age_s = state.now_s - state.begin_s
        away = (age_s >= self._restarts[0]) & (age_s < self._restarts[1])
        gone = np.flatnonzero(away & ~state.away)
        state.drop((gone[:, None] * state.slots + np.arange(state.slots)).ravel())
        state.away = away

    def _step(self) -> None:
        """Advance the time by a step, and note what arrives."""
        state = self._state
        assumptions = state.assumptions
        slots = np.flatnonzero(state.piece != IDLE)
        rates = state.rates(slots) if len(slots) else np.zeros(0)
        step_s = self._length(rates)
        state.now_s += step_s
        state.progress[slots] += rates * step_s
        self._unpack(step_s)
        arrived = slots[state.progress[slots] >= assumptions.piece_bytes * (1 - 1e-9)]
        if len(arrived):
            senders, counts = np.unique(state.sender[arrived], return_counts=True)
            state.sent[senders] += counts
            state.relayed += float(state.through[arrived].sum())
            state.into_seeds += float((state.receiver[arrived] >= assumptions.nodes).sum())
            self._sources.finished(state, arrived)
            state.progress[arrived] = np.maximum(state.progress[arrived] - assumptions.piece_bytes, 0)
            state.piece[arrived] = state.sender[arrived] = IDLE
            self._note_complete()

    def _length(self, rates: Floats) -> float:
        """Return how long the step is."""
        until_event_s = self._next_event_s(len(rates) > 0) - self._state.now_s
        if not len(rates):
            return until_event_s
        return min(until_event_s, self._state.assumptions.piece_bytes / float(rates.max()))

    def _next_event_s(self, is_busy: bool) -> float:
        """Return when something begins or ends by itself.

        While bytes arrive, a node that begins is noticed at the next step.
        """
        state, rollout = self._state, self._state.assumptions.rollout
        faults = state.assumptions.faults
        moments = [faults.seed_lost_s, faults.scheduler_lost_s, faults.scheduler_back_s]
        times: list[Floats] = [np.array([each for each in moments if each is not None])]
        if not is_busy:
            times += [state.begin_s, state.ready_s + rollout.min_ready_s]
            times += [state.begin_s + each for each in self._restarts] if faults.restarts else []
        later = [each[(each > state.now_s) & np.isfinite(each)] for each in times]
        soonest = [float(each.min()) for each in later if len(each)]
        if not soonest:
            return state.now_s + (np.inf if is_busy else _WAIT_S)
        return max(min(soonest), state.now_s + _SHORTEST_S)

    def _unpack(self, step_s: float) -> None:
        """Unpack what was there before the step."""
        state, assumptions = self._state, self._state.assumptions
        there = (state.have - state.again) * assumptions.piece_bytes
        works = (state.begin_s <= state.now_s) & ~state.away
        more = np.minimum(there, state.unpacked + assumptions.machine.processing * step_s)
        state.unpacked = np.where(works, more, state.unpacked)

    def _note_complete(self) -> None:
        """Note when the nodes will be ready that have received everything."""
        state, assumptions = self._state, self._state.assumptions
        machine = assumptions.machine
        has_all = (state.have == assumptions.pieces) & (state.again == 0)
        new = has_all & ~np.isfinite(state.ready_s)
        left_s = (assumptions.size_bytes - state.unpacked[new]) / machine.processing
        state.ready_s[new] = state.now_s + left_s + machine.tail_s

    def _outcome(self) -> Outcome:
        state, pieces = self._state, self._state.assumptions.pieces
        count = state.assumptions.nodes
        return Outcome(
            way=self._way,
            assumptions=state.assumptions,
            seconds=float(state.ready_s.max()),
            median_s=float(np.median(state.ready_s)),
            received=float(state.have.sum()) / pieces,
            reread=state.reread / pieces,
            into_seeds=state.into_seeds / pieces,
            origin_copies=(float(state.sent[state.origin]) + state.relayed) / pieces,
            relayed_copies=state.relayed / pieces,
            store_copies=float(state.sent[state.store]) / pieces,
            seed_copies=float(state.sent[count : state.origin].sum()) / pieces,
            peer_copies=float(state.sent[:count].sum()) / pieces,
            lost_copies=state.lost / pieces,
            steps=self._steps,
        )
