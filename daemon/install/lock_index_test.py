"""Monobase's index on loopback: what it answers, and to whom."""

import socket
import struct
import urllib.error
import urllib.request
from dataclasses import replace

import pytest

from daemon.install.lock_index import Listing, LockIndex
from gens.lock import LockedWheel

_WHEEL = LockedWheel("alpha", "1.0+cu124", "ab" * 32, "alpha-1.0+cu124-py3-none-any.whl", 10)


def _get(index: LockIndex, url: str, password: str | None = None) -> int:
    proxy = index.variables["HTTP_PROXY"]
    if password is not None:
        proxy = f"http://monobase:{password}@{proxy.rpartition('@')[2]}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy}))
    try:
        with opener.open(url, timeout=30) as answer:
            assert b"alpha-1.0+cu124" in answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def _connect(index: LockIndex) -> socket.socket:
    return socket.create_connection(("127.0.0.1", index.server_address[1]), timeout=30)


@pytest.fixture(autouse=True)
def _no_exceptions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "")


def test_it_lists_its_wheels_for_those_who_know_its_password() -> None:
    with LockIndex([Listing("", (_WHEEL,)), Listing("other", ())]) as index:
        assert _get(index, "http://monobase.invalid/simple/alpha/") == 200
        assert _get(index, "http://monobase.invalid/other/simple/alpha/") == 404
        assert _get(index, "http://monobase.invalid/simple/beta/") == 404
        assert _get(index, "http://elsewhere.invalid/simple/alpha/") == 404
        assert _get(index, "http://monobase.invalid/simple/alpha/", "guessed") == 407
        assert index.asked_for == set()
        assert _get(index, f"http://monobase.invalid/wheels/x/{_WHEEL.filename}") == 404
        assert index.asked_for == {_WHEEL.filename}
        assert "password" not in index.configuration


def test_it_stops_while_a_client_keeps_its_connection_open() -> None:
    with LockIndex([Listing("", (_WHEEL,))]) as index:
        client = _connect(index)
    with client, pytest.raises(ConnectionRefusedError):
        _connect(index)


def test_a_client_that_goes_away_in_an_answer_is_not_reported(capfd: pytest.CaptureFixture[str]) -> None:
    many = tuple(replace(_WHEEL, name=f"alpha{number}") for number in range(50))
    with LockIndex([Listing("", many)]) as index:
        for wheel in many:
            with _connect(index) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # resets
                client.sendall(
                    f"GET http://monobase.invalid/simple/{wheel.name}/ HTTP/1.1\r\n\r\n".encode() * 9
                )
        assert _get(index, "http://monobase.invalid/simple/alpha1/") == 200
    assert capfd.readouterr() == ("", "")
