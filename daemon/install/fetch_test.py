import threading
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.errors import (
    DiskError,
    IndexAccessError,
    IndexUnreachableError,
    NotOnIndexError,
    SlowIndexError,
    WheelContentError,
)
from daemon.host.known_contents import KnownContents
from daemon.install import fetch
from daemon.install.arrivals import Arrivals, ReadObserver
from daemon.install.cache_folders import CacheFolders
from daemon.install.fetch import Fetcher, FetchStoppedError
from daemon.install.fetch_call import FetchCall
from daemon.install.wanted import WheelToFetch
from daemon.prefix.content_store import ContentStore
from daemon.prefix.inventory import Inventory, inventory_path
from daemon.prefix.staging import begin_staging
from daemon.report.progress import Stage
from daemon.uv import call_log
from daemon.uv.cache import find_archive, stands_in
from gens.errors import MonobaseError
from gens.lock import LockedWheel
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.fake_uv.fake_uv import FakeUv, fake_interpreter
from tests.index.wheel import Wheel
from tests.synthetic.catalog import PLATFORM, PYTHON_FULL, locked_wheel

_LONG_S = 300  # reached only where a wheel is not read in time


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    begin_staging(fake.prefix)
    return fake


def _ignore(_wheel: LockedWheel, _archive: Path, _inventory: Inventory) -> None:
    pass


def _fetcher(fake: FakePrefix, uv: FakeUv, observe: ReadObserver = _ignore) -> Fetcher:
    store = ContentStore(fake.prefix.files, fake.prefix.staging)
    return Fetcher(fake.prefix, uv, store, fake_interpreter(fake), 1, KnownContents(1), observe)


def _new(fake: FakePrefix, *names: str) -> list[Wheel]:
    """Make wheels that the prefix does not hold."""
    return [fake.wheel(name, cached=False) for name in names]


def _to_fetch(*wheels: Wheel) -> list[WheelToFetch]:
    return [WheelToFetch(locked_wheel(wheel), None, PLATFORM, (PYTHON_FULL,)) for wheel in wheels]


def _fetch(fake: FakePrefix, uv: FakeUv, *wheels: Wheel) -> dict[str, MonobaseError]:
    return _fetcher(fake, uv).fetch(_to_fetch(*wheels), Stage("fetch"))


def _is_held(fake: FakePrefix, wheel: Wheel) -> bool:
    archive = find_archive(fake.prefix.uv_cache, locked_wheel(wheel))
    return archive is not None and inventory_path(fake.prefix, wheel.sha256).exists()


def test_what_is_fetched_has_an_inventory_and_is_found_by_monobases_index(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    (alpha,) = _new(fake, "alpha")
    uv.serve(alpha)
    assert _fetch(fake, uv, alpha) == {}
    assert _is_held(fake, alpha)
    folder = CacheFolders(uv, fake_interpreter(fake).executable).find()
    assert stands_in(fake.prefix.uv_cache, folder, locked_wheel(alpha))
    assert call_log.trusted_wheels(fake.prefix) == frozenset()


def test_a_wheel_is_read_while_its_call_still_unpacks_another(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    alpha, beta = _new(fake, "alpha", "beta")
    uv.serve(alpha, beta)
    read, was_read_meanwhile = threading.Event(), []

    def observe(wheel: LockedWheel, archive: Path, inventory: Inventory) -> None:
        assert archive == fake.archive(alpha if wheel.name == "alpha" else beta)
        assert inventory.wheel_sha256 == wheel.sha256
        read.set()

    def before_beta_is_there(archive: Path) -> None:
        if archive == fake.archive(beta):
            was_read_meanwhile.append(read.wait(_LONG_S))

    uv.after["unpack"] = before_beta_is_there
    fetcher = _fetcher(fake, uv, observe)
    assert fetcher.fetch(_to_fetch(alpha, beta), Stage("fetch")) == {}
    assert was_read_meanwhile == [True]
    assert _is_held(fake, alpha)
    assert _is_held(fake, beta)


def _one_part_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Divide each call of two wheels, whatever these are."""

    def divide(call: FetchCall) -> list[FetchCall]:
        return [replace(call, items={name: item}) for name, item in sorted(call.items.items())]

    monkeypatch.setattr(fetch, "divide_call", divide)


def test_the_second_part_of_a_call_begins_when_the_bytes_of_the_first_have_come(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    _one_part_for_each(monkeypatch)
    uv = FakeUv(fake)
    alpha, beta = _new(fake, "alpha", "beta")
    uv.serve(alpha, beta)
    begun, has_begun = threading.Event(), []

    def unpacked(archive: Path) -> None:
        if archive == fake.archive(beta):
            begun.set()
        else:
            has_begun.append(begun.wait(_LONG_S))

    uv.after["unpack"] = unpacked
    assert _fetch(fake, uv, alpha, beta) == {}
    assert has_begun == [True]
    assert uv.asked == [["alpha"], ["beta"]]
    assert _is_held(fake, alpha)
    assert _is_held(fake, beta)


def test_the_second_part_of_a_call_begins_before_the_first_is_read(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    _one_part_for_each(monkeypatch)
    uv = FakeUv(fake)
    uv.reports_bytes = False
    alpha, beta = _new(fake, "alpha", "beta")
    uv.serve(alpha, beta)
    begun, has_begun = threading.Event(), []

    def observe(wheel: LockedWheel, _archive: Path, _inventory: Inventory) -> None:
        if wheel.name == "alpha":
            has_begun.append(begun.wait(_LONG_S))

    uv.after["unpack"] = lambda archive: begun.set() if archive == fake.archive(beta) else None
    assert _fetcher(fake, uv, observe).fetch(_to_fetch(alpha, beta), Stage("fetch")) == {}
    assert has_begun == [True]


def test_the_first_part_of_a_call_is_kept_while_the_second_is_on_its_way(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    _one_part_for_each(monkeypatch)
    uv = FakeUv(fake)
    alpha, beta = _new(fake, "alpha", "beta")
    uv.serve(alpha, beta)
    kept, was_kept = threading.Event(), []
    keep = Arrivals.keep

    def note(arrivals: Arrivals) -> None:
        keep(arrivals)
        if _is_held(fake, alpha):
            kept.set()

    def unpacked(archive: Path) -> None:
        if archive == fake.archive(beta):
            was_kept.append(kept.wait(_LONG_S))

    monkeypatch.setattr(Arrivals, "keep", note)
    uv.after["unpack"] = unpacked
    assert _fetch(fake, uv, alpha, beta) == {}
    assert was_kept == [True]


def test_a_bad_wheel_in_one_part_of_a_call_keeps_the_other_part_not_away(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    _one_part_for_each(monkeypatch)
    uv = FakeUv(fake)
    alpha, beta = _new(fake, "alpha", "beta")
    uv.serve(alpha, beta)
    error = WheelContentError("another hash")
    uv.refuse(alpha, error)
    assert _fetch(fake, uv, alpha, beta) == {alpha.sha256: error}
    assert _is_held(fake, beta)
    assert uv.asked == [["alpha"], ["beta"]]


def test_an_index_that_the_first_part_of_a_call_could_not_reach_is_not_asked_for_the_second(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    _one_part_for_each(monkeypatch)
    uv = FakeUv(fake)
    alpha, beta = _new(fake, "alpha", "beta")
    error = IndexUnreachableError("the index cannot be reached")
    uv.refuse(alpha, error)
    assert _fetch(fake, uv, alpha, beta) == {wheel.sha256: error for wheel in (alpha, beta)}
    assert uv.asked == [["alpha"]]


@pytest.mark.parametrize("bad", [0, 1])
def test_a_full_disk_in_either_part_of_a_call_ends_the_whole_fetch(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch, bad: int
) -> None:
    _one_part_for_each(monkeypatch)
    uv = FakeUv(fake)
    wheels = _new(fake, "alpha", "beta")
    uv.serve(*wheels)
    uv.refuse(wheels[bad], DiskError("no space left"))
    with pytest.raises(DiskError, match="no space left"):
        _fetch(fake, uv, *wheels)


def test_each_wheel_that_arrives_is_read_once(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    wheels = _new(fake, "alpha", "beta", "gamma")
    uv.serve(*wheels)
    seen: list[str] = []
    fetcher = _fetcher(fake, uv, lambda wheel, _archive, _inventory: seen.append(wheel.name))
    assert fetcher.fetch(_to_fetch(*wheels), Stage("fetch")) == {}
    assert sorted(seen) == ["alpha", "beta", "gamma"]


def test_a_fetch_that_is_broken_off_does_not_read_on(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    alpha, beta = _new(fake, "alpha", "beta")
    uv.serve(alpha, beta)
    uv.fail_after(beta, DiskError("no space left"))
    with pytest.raises(DiskError, match="no space left"):
        _fetch(fake, uv, alpha, beta)
    assert not inventory_path(fake.prefix, alpha.sha256).exists()


def test_an_install_that_ends_starts_no_further_call(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    (alpha,) = _new(fake, "alpha")
    fetcher = _fetcher(fake, uv)
    fetcher.stopped.set()
    with pytest.raises(FetchStoppedError):
        fetcher.fetch(_to_fetch(alpha), Stage("fetch"))
    assert uv.asked == []


def test_nothing_to_fetch_asks_nobody(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    assert _fetch(fake, uv) == {}
    assert uv.calls == []


def test_equal_files_of_two_wheels_become_one_inode(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    files = {"nvidia/lib/large.so": b"large"}
    one, two = fake.wheel("one", files=files, cached=False), fake.wheel("two", files=files, cached=False)
    uv.serve(one, two)
    assert _fetch(fake, uv, one, two) == {}
    large = [fake.archive(wheel) / "nvidia/lib/large.so" for wheel in (one, two)]
    assert large[0].samefile(large[1])


def test_one_bad_wheel_does_not_keep_the_others_away(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    alpha, beta, gamma = _new(fake, "alpha", "beta", "gamma")
    uv.serve(alpha, beta, gamma)
    error = WheelContentError("another hash")
    uv.refuse(beta, error)
    assert _fetch(fake, uv, alpha, beta, gamma) == {beta.sha256: error}
    assert [_is_held(fake, wheel) for wheel in (alpha, beta, gamma)] == [True, False, True]
    assert sorted(uv.asked) == sorted([["alpha", "beta", "gamma"], ["alpha"], ["beta"], ["gamma"]])


def test_an_index_that_cannot_be_reached_is_asked_once(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    wheels = _new(fake, "alpha", "beta")
    error = IndexUnreachableError("the index cannot be reached")
    for wheel in wheels:
        uv.refuse(wheel, error)
    other = fake.wheel("alpha", "2.0", cached=False)
    assert _fetch(fake, uv, *wheels, other) == {wheel.sha256: error for wheel in (*wheels, other)}
    assert len(uv.asked) == 1


def test_a_page_in_uvs_cache_that_is_older_than_the_lock_is_asked_for_again(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    (alpha,) = _new(fake, "alpha")
    uv.refuse(alpha, NotOnIndexError("the index lacks what a lock names"))
    uv.before_refresh = lambda: uv.serve(alpha)
    assert _fetch(fake, uv, alpha) == {}
    assert uv.asked == [["alpha"], ["alpha"]]


def test_a_wheel_that_no_index_has_is_asked_for_twice_and_reported(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    (alpha,) = _new(fake, "alpha")
    error = NotOnIndexError("the index lacks what a lock names")
    uv.refuse(alpha, error)
    assert _fetch(fake, uv, alpha) == {alpha.sha256: error}
    assert len(uv.asked) == 2


def test_a_slow_index_is_reported_with_the_wheel(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    (alpha,) = _new(fake, "alpha")
    uv.refuse(alpha, SlowIndexError("the index is too slow"))
    failure = _fetch(fake, uv, alpha)[alpha.sha256]
    assert isinstance(failure, SlowIndexError)
    assert str(failure) == f"{alpha.filename}: the index is too slow"


def test_a_full_disk_ends_the_whole_fetch(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    (alpha,) = _new(fake, "alpha")
    uv.refuse(alpha, DiskError("no space left"))
    with pytest.raises(DiskError, match="no space left"):
        _fetch(fake, uv, alpha)


def test_a_full_disk_ends_the_retries_of_each_wheel_as_well(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    alpha, beta = _new(fake, "alpha", "beta")
    uv.refuse(alpha, WheelContentError("another hash"))
    uv.refuse(beta, DiskError("no space left"))
    with pytest.raises(DiskError, match="no space left"):
        _fetch(fake, uv, alpha, beta)


def test_a_wheel_that_uv_does_not_keep_is_reported_with_the_remedy(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    (alpha,) = _new(fake, "alpha")
    uv.serve(alpha)
    uv.keep_nothing_of(alpha)
    failure = _fetch(fake, uv, alpha)[alpha.sha256]
    assert isinstance(failure, IndexAccessError)
    assert alpha.filename in str(failure)
    assert "no-store" in str(failure)
    assert "--index-url" in str(failure)


def test_a_failure_of_uv_after_all_wheels_arrived_is_none(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    (alpha,) = _new(fake, "alpha")
    uv.serve(alpha)
    uv.fail_after(alpha, WheelContentError("a file has the name of a folder"))
    assert _fetch(fake, uv, alpha) == {}
    assert _is_held(fake, alpha)


def test_a_wheel_that_leaves_its_folder_is_refused_and_its_neighbours_are_kept(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    alpha, evil = _new(fake, "alpha", "evil")
    uv.serve(alpha, evil)
    uv.leave_out(evil, "../../evil.pth")
    failures = _fetch(fake, uv, alpha, evil)
    assert set(failures) == {evil.sha256}
    assert f"{evil.filename}: holds '../../evil.pth'" in str(failures[evil.sha256])
    assert _is_held(fake, alpha)
    assert find_archive(fake.prefix.uv_cache, locked_wheel(evil)) is None


def test_an_archive_that_nobody_examined_is_downloaded_again(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    (alpha,) = _new(fake, "alpha")
    uv.serve(alpha)
    (fake.unpack(alpha) / "alpha.py").write_bytes(b"")  # as a power loss leaves it
    assert _fetch(fake, uv, alpha) == {}
    assert (fake.archive(alpha) / "alpha.py").read_bytes() == b"NAME = 'alpha'\n"
    assert uv.asked == [["alpha"]]


def test_an_archive_of_a_killed_run_is_used_when_its_log_tells_that_it_is_whole(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    (alpha,) = _new(fake, "alpha")
    fake.unpack(alpha)
    call_log.begin_log(fake.prefix, [locked_wheel(alpha)])
    assert _fetch(fake, uv, alpha) == {}
    assert _is_held(fake, alpha)
    assert uv.asked == []


def test_an_archive_of_a_killed_run_that_was_cut_is_downloaded_again(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    (alpha,) = _new(fake, "alpha")
    uv.serve(alpha)
    (fake.unpack(alpha) / "alpha.py").write_bytes(b"")
    call_log.begin_log(fake.prefix, [locked_wheel(alpha)])
    assert _fetch(fake, uv, alpha) == {}
    assert (fake.archive(alpha) / "alpha.py").read_bytes() == b"NAME = 'alpha'\n"


def test_an_archive_without_a_record_is_refused(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    (alpha,) = _new(fake, "alpha")
    uv.serve(alpha)
    uv.after["unpack"] = lambda archive: (archive / "alpha-1.0.dist-info/RECORD").unlink()
    failure = _fetch(fake, uv, alpha)[alpha.sha256]
    assert isinstance(failure, WheelContentError)
    assert "RECORD" in str(failure)
    assert find_archive(fake.prefix.uv_cache, locked_wheel(alpha)) is None


def test_a_wheel_that_an_index_once_served_under_the_same_name_keeps_no_other_away(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    before = fake.wheel("alpha", files={"alpha.py": b"before = 1\n"})
    unexamined = fake.wheel("alpha", "2.0", files={"alpha.py": b"before = 2\n"}, cached=False)
    fake.unpack(unexamined)
    after = fake.wheel("alpha", files={"alpha.py": b"after = 1\n"}, cached=False)
    again = fake.wheel("alpha", "2.0", files={"alpha.py": b"after = 2\n"}, cached=False)
    uv.serve(after, again)
    assert _fetch(fake, uv, after, again) == {}
    assert _is_held(fake, after)
    assert _is_held(fake, again)
    assert _is_held(fake, before)  # examined: an installed environment may need it
    assert find_archive(fake.prefix.uv_cache, locked_wheel(unexamined)) is None


class _CountingStage(Stage):
    counted = 0

    def advance(self, count: int = 1) -> None:
        self.counted += count


def test_progress_advances_by_the_bytes_of_what_arrived(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    alpha, beta = _new(fake, "alpha", "beta")
    uv.serve(alpha)
    uv.refuse(beta, WheelContentError("another hash"))
    stage = _CountingStage("fetch")
    _fetcher(fake, uv).fetch(_to_fetch(alpha, beta), stage)
    assert stage.counted == alpha.size_bytes
