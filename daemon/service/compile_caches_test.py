"""The service makes and cleans the compile caches that its options name."""

from pathlib import Path

import pytest

from daemon.prefix.disk_budget import parse_amount
from daemon.service import compile_caches as module
from daemon.service.compile_caches import CompileCaches
from daemon.upkeep.compile_cache import CacheCleaning
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.fake_service.fake_service import FakeService


def service(tmp_path: Path, *names: str) -> FakeService:
    fake = FakePrefix(tmp_path / "fake")
    fake.install(0)
    caches = tuple(tmp_path / name for name in names)
    return FakeService(fake, compile_caches=caches, compile_cache_size=parse_amount("1M"))


def test_without_a_folder_nothing_is_done(tmp_path: Path) -> None:
    plain = service(tmp_path)
    CompileCaches(plain.context).keep()
    assert (plain.log, plain.failed) == ([], [])


def test_a_folder_that_fails_leaves_the_others_alone(tmp_path: Path) -> None:
    both = service(tmp_path, "none/a", "b")
    CompileCaches(both.context).keep()
    assert (tmp_path / "b").is_dir()
    assert both.failed == [f"compile cache {tmp_path}/none/a"]


def test_what_was_removed_and_what_is_too_much_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        module, "clean_compile_cache", lambda *_: CacheCleaning(3_000_000, ("uid-1/a/cpu",), 5)
    )
    one = service(tmp_path, "a")
    caches = CompileCaches(one.context)
    caches.keep()
    caches.keep()
    removed, too_much = one.log
    assert removed == f"info: {tmp_path}/a: removed compiled code that was used longest ago"
    assert too_much.startswith(f"warning: {tmp_path}/a: takes 3,000,000 bytes, and may take 1,000,000")
