"""The result of one run of the model."""

from dataclasses import dataclass

from tests.bench.fleet.assumptions import Assumptions, Way


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one run.

    Copies are of all wheels of a node. What is sent is what is received:
    `(origin - relayed) + store + seed + peer == received + reread + into_seeds`.

    Attributes:
        way: Where nodes got wheels from.
        assumptions: What it depends on.
        seconds: From the begin until the last node was ready.
        median_s: The same until half of the nodes were.
        received: Copies that nodes received: one a node.
        reread: Copies of wheels that nodes received again, as the first had a wrong hash.
        into_seeds: Copies that seeds received.
        origin_copies: Copies that left the origin.
        relayed_copies: Those of them that went through a pull-through cache.
        store_copies: Copies that left the registry or the cache.
        seed_copies: Copies that left seeds.
        peer_copies: Copies that nodes sent each other.
        lost_copies: What was sent and not used: pieces under way at a restart, or of a lost seed.
        steps: Steps of the simulation.
    """

    way: Way
    assumptions: Assumptions
    seconds: float
    median_s: float
    received: float
    reread: float
    into_seeds: float
    origin_copies: float
    relayed_copies: float
    store_copies: float
    seed_copies: float
    peer_copies: float
    lost_copies: float
    steps: int
