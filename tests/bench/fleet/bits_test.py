"""Sets of pieces, compared with Python's own."""

import numpy as np
import pytest

from tests.bench.fleet.bits import add, bits_from, empty_sets, first_from, has, remove


@pytest.mark.parametrize("seed", range(20))
def test_sets_are_those_of_python(seed: int) -> None:
    random = np.random.default_rng(seed)
    sets, expected = empty_sets(5, 128), [set[int]() for _ in range(5)]
    for operation, change in ((add, set.add), (remove, set.discard)):
        rows, pieces = random.integers(0, 5, 60), random.integers(0, 128, 60)
        operation(sets, rows, pieces)
        for row, piece in zip(rows.tolist(), pieces.tolist(), strict=True):
            change(expected[row], piece)
    for row, members in enumerate(expected):
        found = has(sets, np.full(128, row), np.arange(128))
        assert set(np.flatnonzero(found).tolist()) == members
        offset = int(random.integers(0, 128))
        first = first_from(sets[row : row + 1], bits_from(128), np.array([offset]))[0]
        assert first == min((each for each in members if each >= offset), default=min(members, default=-1))


def test_an_empty_set_has_no_first_piece() -> None:
    assert first_from(empty_sets(1, 64), bits_from(64), np.array([63])).tolist() == [-1]
