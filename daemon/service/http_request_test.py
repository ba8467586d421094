"""Heads of requests, good ones and others."""

import pytest

from daemon.service.http_request import MAX_HEAD_BYTES, HeadReader, Request, RequestError


def _read(head: bytes, size: int = 1_000_000) -> Request | None:
    reader = HeadReader()
    for start in range(0, len(head), size):
        request = reader.feed(head[start : start + size])
        if request is not None:
            return request
    return None


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("before", ["", "\r\n\r\n"])
def test_a_request_is_read_however_it_comes(size: int, end: str, before: str) -> None:
    lines = [
        "GET /readyz?format=text&x=%20 HTTP/1.1",
        "Host: a",
        "ACCEPT:  text/plain \t",
        "Accept: other",
        "",
        "",
    ]
    request = _read((before + end.join(lines)).encode() + b"GET /next HTTP/1.1\r\n", size)
    assert request == Request(
        "GET", "/readyz", {"format": ["text"], "x": [" "]}, {"host": "a", "accept": "text/plain"}
    )


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", "/"),
        ("//evil/readyz", "//evil/readyz"),
        ("/%72eadyz", "/readyz"),
        ("/readyz%3Fformat=text", "/readyz?format=text"),
        ("/%00", "/\0"),
        ("/../readyz", "/../readyz"),
        ("http://host/readyz?format=text", "/readyz"),
        ("HTTP://[::1]:80/readyz", "/readyz"),
        ("http://host", "/"),
        ("http://host?format=text", "/"),
        ("*", "*"),
    ],
)
def test_a_target_has_a_path(target: str, path: str) -> None:
    request = _read(f"GET {target} HTTP/1.1\r\n\r\n".encode())
    assert request is not None
    assert request.path == path


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET http://[::1/readyz HTTP/1.1\r\n\r\n", 400),
        (b"GET http://user@host/ HTTP/1.1\r\n\r\n", 400),
        (b"GET ftp://host/ HTTP/1.1\r\n\r\n", 400),
        (b"GET readyz HTTP/1.1\r\n\r\n", 400),
        (b"GET /%zz HTTP/1.1\r\n\r\n", 400),
        (b"GET /% HTTP/1.1\r\n\r\n", 400),
        (b"GET /%ff HTTP/1.1\r\n\r\n", 400),
        (b"GET /?a=%ff HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"?" + b"a=1&" * 1000 + b" HTTP/1.1\r\n\r\n", 400),
        (b"GET /#x HTTP/1.1\r\n\r\n", 400),
        (b"GET /\xc3\xa4 HTTP/1.1\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nname : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nname: \x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET /\r\n", 400),  # HTTP/0.9, whose head has no end
        (b"GET / HTTP/2.0\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS
        (b"\x00" * 20, 400),
        (b"GET /" + b"a" * MAX_HEAD_BYTES + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 10_000, 431),
        (b"A" * (MAX_HEAD_BYTES + 1), 431),
    ],
)
def test_what_is_no_request_is_refused_as_soon_as_that_is_seen(head: bytes, status: int) -> None:
    with pytest.raises(RequestError) as refused:
        _read(head)
    assert refused.value.status == status
    with pytest.raises(RequestError) as refused:
        _read(head, 1000)
    assert refused.value.status == status


@pytest.mark.parametrize(
    "head", [b"", b"\r\n\r\n\r\n", b"G", b"GET / HTTP/1.1", b"GET / HTTP/1.1\r\nHost: x\r\n"]
)
def test_a_head_that_is_not_whole_is_waited_for(head: bytes) -> None:
    assert _read(head) is None
