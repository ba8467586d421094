"""Links: shared fairly, never more than they carry."""

import numpy as np
import pytest

from tests.bench.fleet.links import share_links


def test_flows_of_one_link_share_it() -> None:
    rates = share_links(np.array([90.0, np.inf]), np.array([[0, 1]] * 3))
    assert rates.tolist() == [30, 30, 30]


def test_what_a_slow_flow_leaves_goes_to_the_others() -> None:
    # Three flows on link 0; the first is on the thin link 1 as well.
    rates = share_links(np.array([90.0, 10.0, np.inf]), np.array([[0, 1], [0, 2], [0, 2]]))
    assert rates.tolist() == [10, 40, 40]


@pytest.mark.parametrize("seed", range(20))
def test_no_link_carries_more_than_it_can_and_each_flow_has_a_full_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    capacity = np.append(random.integers(1, 100, 12).astype(float), np.inf)
    links = random.integers(0, 13, (60, 3))
    links[:, 0] = random.integers(0, 12, 60)
    rates = share_links(capacity, links)
    used = np.zeros(13)
    for flow, row in enumerate(links):
        for link in set(row.tolist()):
            used[link] += rates[flow]
    assert (used <= capacity * (1 + 1e-6)).all()
    assert (rates > 0).all()
