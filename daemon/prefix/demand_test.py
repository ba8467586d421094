"""The files by which models ask for environments."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from daemon.prefix.demand import asked, offer
from daemon.prefix.prefix import Prefix


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    prefix = Prefix(tmp_path)
    prefix.make_directories()
    return prefix


@pytest.fixture
def holders() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _path(prefix: Prefix, name: str, generation: str = "g00000") -> Path:
    return prefix.generations / ".demand" / generation / name


def _hold(holders: ExitStack, path: Path, operation: int = fcntl.LOCK_SH) -> None:
    fcntl.flock(holders.enter_context(path.open()), operation | fcntl.LOCK_NB)


@pytest.mark.parametrize("operation", [fcntl.LOCK_SH, fcntl.LOCK_EX])
def test_a_lock_asks_and_its_end_ends_that(prefix: Prefix, operation: int) -> None:
    offer(prefix, {"g00000": {"a", "b"}, "g00001": {"a"}})
    assert asked(prefix) == []
    with ExitStack() as holders:
        _hold(holders, _path(prefix, "b"), operation)
        _hold(holders, _path(prefix, "a", "g00001"), operation)
        assert asked(prefix) == [("g00000", "b"), ("g00001", "a")]
    assert asked(prefix) == []


def test_many_may_ask_for_one(prefix: Prefix, holders: ExitStack) -> None:
    offer(prefix, {"g00000": {"a"}})
    for _ in range(3):
        _hold(holders, _path(prefix, "a"))
    assert asked(prefix) == [("g00000", "a")]
    _hold(holders, _path(prefix, "a"))  # the look has left no lock behind


def test_a_request_outlives_the_daemon_that_offered(prefix: Prefix, holders: ExitStack) -> None:
    offer(prefix, {"g00000": {"a", "b"}})
    _hold(holders, _path(prefix, "a"))
    offer(prefix, {"g00000": {"a"}})
    assert asked(prefix) == [("g00000", "a")]
    assert not _path(prefix, "b").exists()


def test_what_is_not_offered_any_more_is_not_asked_for(prefix: Prefix, holders: ExitStack) -> None:
    offer(prefix, {"g00000": {"a"}, "g00001": {"a"}})
    _hold(holders, _path(prefix, "a"))
    _hold(holders, _path(prefix, "a", "g00001"))
    offer(prefix, {"g00001": set()})
    assert asked(prefix) == []
    assert not _path(prefix, "a").parent.exists()


@pytest.mark.parametrize("kind", [fcntl.F_RDLCK, fcntl.F_WRLCK])
def test_a_lock_of_another_kind_does_not_ask(prefix: Prefix, holders: ExitStack, kind: int) -> None:
    offer(prefix, {"g00000": {"a"}})
    file = holders.enter_context(_path(prefix, "a").open("r+"))
    fcntl.lockf(file, (fcntl.LOCK_SH if kind == fcntl.F_RDLCK else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    assert asked(prefix) == []


def test_a_file_is_empty_and_for_all_to_read_whatever_the_umask(prefix: Prefix) -> None:
    former = os.umask(0o077)
    try:
        offer(prefix, {"g00000": {"a"}})
    finally:
        os.umask(former)
    status = _path(prefix, "a").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_size) == (0o644, 0)
    assert stat.S_IMODE(_path(prefix, "a").parent.stat().st_mode) == 0o755
    assert stat.S_IMODE(_path(prefix, "a").parent.parent.stat().st_mode) == 0o755


def test_whatever_is_in_the_way_makes_room(prefix: Prefix, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    top = prefix.generations / ".demand"
    top.symlink_to(outside)
    offer(prefix, {"g00000": {"a", "b", "c", "d"}})
    assert list(outside.iterdir()) == []
    for name in "abc":
        _path(prefix, name).unlink()
    _path(prefix, "a").mkdir()
    _path(prefix, "b").symlink_to(outside / "absent")
    os.mkfifo(_path(prefix, "c"))
    (top / "notes").write_text("")
    (top / "g00001").write_text("")
    assert asked(prefix) == []
    offer(prefix, {"g00000": {"a", "b", "c", "d"}, "g00001": {"a"}})
    assert all(stat.S_ISREG(_path(prefix, name).lstat().st_mode) for name in "abcd")
    assert stat.S_ISREG(_path(prefix, "a", "g00001").lstat().st_mode)
    assert not (top / "notes").exists()


def test_nothing_is_asked_for_where_nothing_was_offered(prefix: Prefix) -> None:
    assert asked(prefix) == []
