"""The end of the downloads of a call of uv is told from the bytes that it has received."""

import pytest

from daemon.install.download_end import DownloadEnd

_SLOW = [100, 140, 180, 220, 260]


@pytest.mark.parametrize(
    ("counts", "idle_share", "is_near"),
    [
        ([300, 600], 1.0, False),
        ([300, 600, 850], 1.0, True),  # the rest comes as fast as the last bytes
        ([300, 500, 739], 0.0, False),
        ([300, 500, 741], 0.0, True),  # of which some may not have been counted
        ([300, 1100], 0.0, True),  # with what was asked beside the wheels
        (_SLOW, 0.3, True),  # the link could carry more
        (_SLOW, 0.2, False),  # the processors are the limit
        (_SLOW[:-1], 1.0, False),
        ([100, 140, 180, 220, 290, 330], 1.0, False),  # it was not slow in between
        ([0, 0, 0, 0, 0, 0], 1.0, False),  # it has not begun
        ([], 1.0, False),
    ],
)
def test_the_end_is_near_when_little_is_left_or_little_comes(
    counts: list[int], idle_share: float, is_near: bool
) -> None:
    end = DownloadEnd(1000, lambda: idle_share)
    for count in counts:
        end.received(count)
    assert end.near.is_set() is is_near
