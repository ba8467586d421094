"""One daemon for a prefix."""

import threading
from pathlib import Path

import pytest

from daemon.prefix.prefix import Prefix
from daemon.prefix.service_lock import service_lock

_LONG_S = 300  # reached only where what a test waits for does not come


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    prefix = Prefix(tmp_path)
    prefix.make_directories()
    return prefix


def test_the_first_daemon_has_the_lock_and_gives_it_up_at_its_end(prefix: Prefix) -> None:
    for _ in range(2):
        with service_lock(prefix, threading.Event(), lambda _: None) as lock:
            assert lock is not None
            assert not lock.is_lost()


def test_a_second_daemon_says_for_whom_it_waits_and_takes_over(prefix: Prefix) -> None:
    said: list[str] = []
    waits, ended = threading.Event(), threading.Event()

    def say(text: str) -> None:
        said.append(text)
        waits.set()

    def second() -> None:
        with service_lock(prefix, threading.Event(), say) as lock:
            assert lock is not None
        ended.set()

    with service_lock(prefix, threading.Event(), lambda _: None):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(_LONG_S)
        assert not ended.is_set()
    thread.join(_LONG_S)
    assert ended.is_set()
    assert len(said) == 1
    assert said[0].startswith("waiting for the daemon process ")


def test_a_daemon_that_is_stopped_while_it_waits_has_no_lock(prefix: Prefix) -> None:
    stop = threading.Event()
    with (
        service_lock(prefix, threading.Event(), lambda _: None),
        service_lock(prefix, stop, lambda _: stop.set()) as lock,
    ):
        assert lock is None


def test_a_daemon_whose_file_was_removed_learns_it(prefix: Prefix) -> None:
    with service_lock(prefix, threading.Event(), lambda _: None) as lock:
        prefix.service_lock_file.unlink()
        assert lock is not None
        assert lock.is_lost()
