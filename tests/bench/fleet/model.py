"""Runs the model for one way."""

from tests.bench.fleet.assumptions import Assumptions, Way
from tests.bench.fleet.outcome import Outcome
from tests.bench.fleet.peers import Peers
from tests.bench.fleet.server import Server
from tests.bench.fleet.simulation import Simulation, Sources, State


def run_model(way: Way, assumptions: Assumptions) -> Outcome:
    """Return what the model says for a way.

    Args:
        way: Where nodes get wheels from.
        assumptions: What it depends on.
    """
    state = State(assumptions, assumptions.swarm.downloads if way is Way.P2P else 1)
    if way is Way.CACHE:
        state.set_store(assumptions.network.cache)
    sources: Sources = Peers(assumptions) if way is Way.P2P else Server(way, assumptions)
    return Simulation(state, sources, way).run()
