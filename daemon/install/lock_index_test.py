"""Monobase's index on loopback: what it answers, and to whom."""

import errno
import os
import socket
import struct
import subprocess
import sys
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
        with opener.open(url, timeout=120) as answer:
            assert b"alpha-1.0+cu124" in answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def _connect(index: LockIndex) -> socket.socket:
    return socket.create_connection(("127.0.0.1", index.server_address[1]), timeout=120)


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


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ECONNABORTED])
def test_a_connection_that_cannot_be_accepted_is_not_the_last_one(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    accept = LockIndex.get_request
    failures = [OSError(number, "no")] * 3

    def fail_first(index: LockIndex) -> object:
        if failures:
            raise failures.pop()
        return accept(index)

    monkeypatch.setattr(LockIndex, "get_request", fail_first)
    with LockIndex([Listing("", (_WHEEL,))]) as index:
        assert _get(index, "http://monobase.invalid/simple/alpha/") == 200
    assert failures == []


def test_a_connection_for_which_no_thread_can_be_started_is_closed_and_not_the_last_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serve = LockIndex.process_request
    failures = [RuntimeError("can't start new thread")]

    def fail_first(index: LockIndex, request: socket.socket, address: object) -> None:
        if failures:
            raise failures.pop()
        serve(index, request, address)

    monkeypatch.setattr(LockIndex, "process_request", fail_first)
    with LockIndex([Listing("", (_WHEEL,))]) as index:
        with _connect(index) as client:
            assert client.recv(1) == b""
        assert _get(index, "http://monobase.invalid/simple/alpha/") == 200


_FLOOD = """
import resource, socket, threading
from daemon.install.lock_index import LockIndex

failed = threading.Event()

class Index(LockIndex):
    def get_request(self):
        try:
            return super().get_request()
        except OSError:
            failed.set()
            raise

with Index([]) as index:
    last = socket.socket()
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    clients = []
    try:
        while True:
            clients.append(socket.create_connection(index.server_address, timeout=60))
    except OSError:
        pass
    last.connect(index.server_address)  # takes the descriptor that the waiting accept has
    print(failed.wait(60))
    for client in clients:
        client.close()
    last.close()
    with socket.create_connection(index.server_address, timeout=60) as client:
        client.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
        print(client.recv(12).decode())
"""


def test_a_flood_of_connections_that_takes_all_descriptors_ends_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FLOOD], capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.stdout == "True\nHTTP/1.1 407\n", done.stderr


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
