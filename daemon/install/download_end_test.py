"""The end of the downloads of a call of uv is told from the bytes that it has received."""

import pytest

from daemon.install.download_end import DownloadEnd


@pytest.mark.parametrize(
    ("counts", "is_near"),
    [
        ([300, 600], False),
        ([300, 600, 850], True),  # the rest comes as fast as the last bytes
        ([300, 1100], True),  # with what was asked beside the wheels
        ([100, 140], False),
        ([100, 140, 180], True),  # the link could carry more
        ([100, 140, 200, 240], False),  # it was slow only once in a row
        ([0, 0, 0], False),
        ([], False),
    ],
)
def test_the_end_is_near_when_little_is_left_or_little_comes(counts: list[int], is_near: bool) -> None:
    end = DownloadEnd(1000)
    for count in counts:
        end.received(count)
    assert end.near.is_set() is is_near
