"""The heads of messages on a connection, and how a connection ends."""

import asyncio
import socket

import pytest

from daemon.download_limit.stream import MAX_HEAD_BYTES, Head, Stream


def _read(sent: bytes) -> Head:
    """Return the head that a stream reads if another side sends some bytes and closes."""

    async def read() -> Head:
        here, there = socket.socketpair()
        there.sendall(sent[:100_000])
        there.close()
        async with Stream(*await asyncio.open_connection(sock=here, limit=MAX_HEAD_BYTES)) as stream:
            return await stream.head()

    return asyncio.run(read())


def test_a_head_is_its_first_line_and_its_fields_in_their_order() -> None:
    head = _read(b"GET / HTTP/1.1\r\nHost: one.example:8080\r\nAccept:a, b \r\naccept: c\r\n\r\nthe body")
    assert head == Head("GET / HTTP/1.1", (("Host", "one.example:8080"), ("Accept", "a, b"), ("accept", "c")))
    assert head.find("host") == "one.example:8080"
    assert head.find("accept") == "a, b"
    assert head.find("range") == ""


def test_the_body_after_a_head_stays_in_the_stream() -> None:
    async def read() -> bytes:
        here, there = socket.socketpair()
        with there:
            there.sendall(b"HTTP/1.1 200 OK\r\n\r\nbody")
            there.shutdown(socket.SHUT_WR)
            async with Stream(*await asyncio.open_connection(sock=here)) as stream:
                assert (await stream.head()).first == "HTTP/1.1 200 OK"
                return await stream.reader.read()

    assert asyncio.run(read()) == b"body"


@pytest.mark.parametrize("name", ["Connection", "keep-alive", "Proxy-Authorization", "proxy-connection"])
def test_a_field_of_one_connection_is_not_passed_to_the_next(name: str) -> None:
    head = Head("GET http://one.example/ HTTP/1.1", ((name, "secret"), ("Accept", "*/*")))
    assert head.passed_on("GET / HTTP/1.1", ("Connection", "close")) == (
        b"GET / HTTP/1.1\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )


def test_bytes_outside_ascii_are_passed_on_unchanged() -> None:
    sent = b"GET /\xff HTTP/1.1\r\nX-Name: \xe9\x80\r\n\r\n"
    head = _read(sent)
    assert head.passed_on(head.first) == sent


def test_a_connection_that_ends_in_a_head_is_an_error() -> None:
    with pytest.raises(EOFError):
        _read(b"GET / HTTP/1.1\r\nHost: one")


def test_a_head_without_an_end_is_read_up_to_a_bound() -> None:
    with pytest.raises((asyncio.LimitOverrunError, OSError)):
        _read(b"GET / HTTP/1.1\r\nX: " + b"x" * MAX_HEAD_BYTES)
