"""Laws that the model keeps, whatever its assumptions are."""

from dataclasses import replace

import pytest

from tests.bench.fleet.assumptions import Assumptions, Faults, Machine, Network, Rollout, Swarm, Way
from tests.bench.fleet.model import run_model
from tests.bench.fleet.outcome import Outcome
from tests.bench.fleet.waves import rollout_s, turns_of

SMALL = Assumptions(nodes=60, size_bytes=4e9, pieces=64, wheels=16)
# Where nodes are fast, the network decides.
FAST = Machine(unpack=1e12, disk=1e12, start_s=0, tail_s=0)
WAYS = list(Way)
ALL_FAULTS = Faults(
    restarts=0.3, restart_s=5, seed_lost_s=2, scheduler_lost_s=3, scheduler_back_s=4, poisoned=2
)  # fmt: skip


def _sent(outcome: Outcome) -> float:
    direct = outcome.origin_copies - outcome.relayed_copies
    return direct + outcome.store_copies + outcome.seed_copies + outcome.peer_copies


@pytest.mark.parametrize("faults", [Faults(), ALL_FAULTS])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("nodes", [1, 2, 33, 60])
def test_what_is_received_is_what_was_sent(way: Way, nodes: int, faults: Faults) -> None:
    found = run_model(way, replace(SMALL, nodes=nodes, faults=faults))
    assert found.received == nodes
    assert _sent(found) == pytest.approx(found.received + found.reread + found.into_seeds)


@pytest.mark.parametrize("way", [Way.ALONE, Way.CACHE, Way.P2P])
@pytest.mark.parametrize("nodes", [1, 7, 60])
def test_the_origin_is_read_once_at_least_and_once_for_each_node_at_most(way: Way, nodes: int) -> None:
    found = run_model(way, replace(SMALL, nodes=nodes))
    assert 1 <= found.origin_copies <= nodes


def test_a_cold_cache_that_all_ask_at_once_reads_a_copy_for_each() -> None:
    assert run_model(Way.CACHE, SMALL).origin_copies == SMALL.nodes


def test_a_cache_that_one_node_has_filled_reads_nothing_again() -> None:
    one_by_one = replace(SMALL, nodes=5, rollout=Rollout(at_once=1))
    assert run_model(Way.CACHE, one_by_one).origin_copies == 1


@pytest.mark.parametrize("way", WAYS)
def test_no_node_is_ready_before_bytes_and_speeds_allow(way: Way) -> None:
    found = run_model(way, SMALL)
    machine = SMALL.machine
    least = machine.start_s + SMALL.size_bytes / machine.processing + machine.tail_s
    assert found.median_s >= least
    assert found.seconds >= SMALL.size_bytes / SMALL.network.node


def test_no_server_sends_more_than_its_link_carries() -> None:
    found = run_model(Way.REGISTRY, replace(SMALL, machine=FAST))
    assert found.seconds >= SMALL.nodes * SMALL.size_bytes / SMALL.network.registry * (1 - 1e-6)


@pytest.mark.parametrize("way", WAYS)
def test_twice_the_bandwidth_is_never_slower(way: Way) -> None:
    slow = Network(origin=2e8, registry=4e8, cache=2e8, node=2e8, seed=2e8)
    fast = Network(origin=4e8, registry=8e8, cache=4e8, node=4e8, seed=4e8)
    seconds = [
        run_model(way, replace(SMALL, machine=FAST, network=network)).seconds for network in (slow, fast)
    ]
    assert seconds[1] <= seconds[0]


def test_more_seeds_are_never_slower_and_cost_the_origin_nothing() -> None:
    network = Network(origin=1e10, seed=2e8)
    found = [
        run_model(Way.P2P, replace(SMALL, machine=FAST, network=network, swarm=Swarm(seeds=seeds)))
        for seeds in (1, 4, 16)
    ]
    assert [each.origin_copies for each in found] == [1, 1, 1]
    assert found[0].seconds >= found[1].seconds >= found[2].seconds


@pytest.mark.parametrize("way", WAYS)
def test_the_same_seed_gives_the_same_figures(way: Way) -> None:
    assumptions = replace(SMALL, faults=ALL_FAULTS, rollout=Rollout(jitter_s=20))
    assert run_model(way, assumptions) == run_model(way, assumptions)


def test_without_its_only_seed_peers_end_and_read_what_was_lost_from_the_origin() -> None:
    lost = replace(SMALL, machine=FAST, swarm=Swarm(seeds=1), faults=Faults(seed_lost_s=1.5))
    found = run_model(Way.P2P, lost)
    assert found.received == SMALL.nodes
    assert found.seed_copies < run_model(Way.P2P, replace(lost, faults=Faults())).seed_copies
    assert 1 < found.origin_copies < 2


def test_without_any_seed_peers_read_each_piece_as_often_as_they_may() -> None:
    found = run_model(Way.P2P, replace(SMALL, swarm=Swarm(seeds=0, origin_readers=1)))
    assert (found.received, found.origin_copies) == (SMALL.nodes, 1)
    many = run_model(Way.P2P, replace(SMALL, swarm=Swarm(seeds=0, origin_readers=200)))
    assert found.origin_copies < many.origin_copies <= SMALL.nodes


def test_without_a_scheduler_nodes_read_from_the_origin_until_it_is_back() -> None:
    for_ever = Faults(scheduler_lost_s=0, scheduler_back_s=1e9)
    assert run_model(Way.P2P, replace(SMALL, faults=for_ever)).peer_copies == 0
    short = Faults(scheduler_lost_s=SMALL.machine.start_s + 1, scheduler_back_s=SMALL.machine.start_s + 2)
    found = run_model(Way.P2P, replace(SMALL, faults=short))
    assert 1 < found.origin_copies < SMALL.nodes
    assert found.peer_copies > 0


def test_restarts_lose_what_was_under_way_and_no_more() -> None:
    found = run_model(Way.P2P, replace(SMALL, faults=Faults(restarts=1.0)))
    assert found.received == SMALL.nodes
    assert 0 < found.lost_copies <= SMALL.nodes * SMALL.swarm.downloads / SMALL.pieces


def test_wheels_of_a_poisoned_peer_are_read_again_past_the_peers() -> None:
    found = run_model(Way.P2P, replace(SMALL, faults=Faults(poisoned=1)))
    assert found.reread > 0
    assert found.origin_copies == pytest.approx(found.into_seeds + found.reread)
    # At most each wheel once more for each node.
    assert found.reread <= SMALL.nodes


def test_racks_with_thin_links_are_slower() -> None:
    seconds = [
        run_model(
            Way.P2P, replace(SMALL, machine=FAST, network=Network(rack_nodes=16, oversubscription=thin))
        ).seconds
        for thin in (1, 16)
    ]
    assert seconds[0] < seconds[1]


def test_the_arithmetic_of_waves_is_what_the_simulation_says() -> None:
    rollout = Rollout(at_once=10, min_ready_s=30)
    simulated = run_model(Way.REGISTRY, replace(SMALL, rollout=rollout)).seconds
    turn_s = run_model(Way.REGISTRY, replace(SMALL, nodes=10)).seconds
    computed = rollout_s(turns_of(SMALL.nodes, rollout), turn_s, rollout)
    # The last turn is over when its nodes are ready; nobody waits for `min_ready_s` after it.
    assert simulated == pytest.approx(computed - rollout.min_ready_s, rel=0.01)


def test_one_node_at_a_time_takes_35_days_for_ten_thousand() -> None:
    rollout = Rollout(at_once=1)
    days = rollout_s(turns_of(10_000, rollout), 302.0, rollout) / 86400
    assert round(days) == 35


@pytest.mark.parametrize(("nodes", "pieces", "wheels"), [(1, 100, 50), (1, 128, 7), (0, 128, 16)])
def test_assumptions_that_contradict_each_other_are_refused(nodes: int, pieces: int, wheels: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        Assumptions(nodes=nodes, pieces=pieces, wheels=wheels)
