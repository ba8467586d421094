"""The assumptions of the model: the fleet, what is installed on it, and what goes wrong."""

from dataclasses import dataclass, field
from enum import Enum

_GBIT = 1e9 / 8


class Way(Enum):
    """The source of wheels."""

    ALONE = "each node for itself"
    REGISTRY = "registry"
    CACHE = "pull-through cache"
    P2P = "peer-to-peer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The links, in bytes a second.

    Attributes:
        origin: What the origin sends at most: the index, or the link to it.
        registry: What the registry (all its replicas) sends at most.
        cache: What the pull-through cache sends at most.
        node: What the card of a node sends, and receives, at most.
        seed: The same of a seed.
        rack_nodes: Nodes of a rack.
        oversubscription: All cards of a rack / the link of the rack to the others.
    """

    origin: float = 10 * _GBIT
    registry: float = 40 * _GBIT
    cache: float = 10 * _GBIT
    node: float = 10 * _GBIT
    seed: float = 10 * _GBIT
    rack_nodes: int = 32
    oversubscription: float = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The speeds of a node besides its network.

    Attributes:
        unpack: Bytes of wheels a second that it unpacks.
        disk: Bytes a second that its disk writes.
        expansion: Bytes on the disk / bytes of wheels.
        start_s: From the begin of its turn until the daemon fetches.
        tail_s: From the last unpacked byte until the node is ready: links, bytecode, seal.
    """

    unpack: float = 150e6
    disk: float = 1e9
    expansion: float = 1.93
    start_s: float = 10.0
    tail_s: float = 60.0

    @property
    def processing(self) -> float:
        """Bytes of wheels a second that the node can take in."""
        return min(self.unpack, self.disk / self.expansion)


@dataclass(frozen=True, slots=True, kw_only=True)
class Swarm:
    """The peers.

    Attributes:
        seeds: Number of seeds; each piece has one, which reads it from the origin.
        downloads: Pieces that a node receives at once.
        uploads: Pieces that a node sends at once.
        seed_uploads: Pieces that a seed sends at once.
        origin_readers: Nodes that may read a piece from the origin if there is no seed (Dragonfly's
            `backToSourceCount`).
    """

    seeds: int = 3
    downloads: int = 2
    uploads: int = 4
    seed_uploads: int = 8
    origin_readers: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """In which order nodes begin.

    Attributes:
        at_once: Nodes that may be unready at a time (`maxUnavailable`); None for all.
        min_ready_s: How long a node must be ready before the next one begins (`minReadySeconds`).
        jitter_s: Each node waits for a part of this before it fetches.
    """

    at_once: int | None = None
    min_ready_s: float = 0.0
    jitter_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The faults of a run.

    Attributes:
        restarts: Share of the nodes whose daemon is restarted once while it installs.
        restart_s: How long such a node fetches nothing; the pieces under way are lost.
        seed_lost_s: When one seed disappears with what it holds; None for never.
        scheduler_lost_s: When the scheduler of the peers disappears; None for never.
        scheduler_back_s: When it is back.
        poisoned: Peers that send wrong bytes; whoever receives some passes them on, and reads the wheel again
            from the origin, past the peers.
    """

    restarts: float = 0.0
    restart_s: float = 30.0
    seed_lost_s: float | None = None
    scheduler_lost_s: float | None = None
    scheduler_back_s: float = 0.0
    poisoned: int = 0

    def scheduler_is_lost(self, now_s: float) -> bool:
        """Return whether there is no scheduler at a time."""
        return self.scheduler_lost_s is not None and self.scheduler_lost_s <= now_s < self.scheduler_back_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """All that a run of the model depends on, besides the way.

    Attributes:
        nodes: Number of nodes.
        size_bytes: Bytes of all wheels of a node (31.8 GB: generation 2).
        wheels: Wheels, all of one size.
        pieces: Pieces of all wheels together, a multiple of 64 and of `wheels`.
        network: The links.
        machine: A node.
        swarm: The peers.
        rollout: The order.
        faults: What goes wrong.
        seed: Of the random numbers: the same seed gives the same figures.
    """

    nodes: int
    size_bytes: float = 31.8e9
    wheels: int = 64
    pieces: int = 512
    network: Network = field(default_factory=Network)
    machine: Machine = field(default_factory=Machine)
    swarm: Swarm = field(default_factory=Swarm)
    rollout: Rollout = field(default_factory=Rollout)
    faults: Faults = field(default_factory=Faults)
    seed: int = 1

    def __post_init__(self) -> None:
        if self.pieces % 64 or self.pieces % self.wheels:
            raise ValueError(f"{self.pieces} pieces: expected a multiple of 64 and of {self.wheels} wheels")
        if self.nodes < 1:
            raise ValueError(f"{self.nodes} nodes: expected at least 1")

    @property
    def piece_bytes(self) -> float:
        """Bytes of a piece."""
        return self.size_bytes / self.pieces

    @property
    def pieces_of_wheel(self) -> int:
        """Pieces of a wheel."""
        return self.pieces // self.wheels
