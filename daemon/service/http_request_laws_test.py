"""The laws of heads of requests: whatever comes, however it comes."""

from hypothesis import given
from hypothesis import strategies as st

from daemon.service.http_request import HeadReader, Request, RequestError

_PIECES = st.sampled_from(
    [b"GET", b" ", b"/", b"/readyz", b"?format=text", b"http://", b"[::1", b"]", b"%", b"%41", b"#", b":",
     b"HTTP/1.1", b"\r\n", b"\n", b"\r", b"Accept: x", b"\x00", b"\xff", b"*", b"\t", b"HTTP/2.0",
     b"a" * 5_000]
)  # fmt: skip
_HEADS = st.one_of(
    st.binary(max_size=200),
    st.lists(_PIECES, max_size=30).map(b"".join),
    st.lists(_PIECES, max_size=12).map(lambda pieces: b"GET / HTTP/1.1\r\n" + b"".join(pieces) + b"\r\n\r\n"),
)


def _read(head: bytes, sizes: list[int]) -> Request | int | None:
    reader = HeadReader()
    start = 0
    try:
        for size in (*sizes, len(head)):
            request = reader.feed(head[start : start + size])
            if request is not None:
                return request
            start += size
    except RequestError as error:
        return error.status.value
    return None


@given(_HEADS, st.lists(st.integers(1, 50), max_size=20))
def test_a_head_means_the_same_in_one_piece_and_in_many(head: bytes, sizes: list[int]) -> None:
    whole, parts = _read(head, []), _read(head, sizes)
    if isinstance(whole, int) and isinstance(parts, int):
        return  # what is wrong first may be seen first
    assert whole == parts
