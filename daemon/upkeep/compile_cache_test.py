"""Compile caches: what was used longest ago goes, and no model can lead the daemon elsewhere."""

import os
import stat
import time
from pathlib import Path

import pytest

from daemon.errors import DiskError
from daemon.upkeep import compile_cache
from daemon.upkeep.compile_cache import clean_compile_cache, prepare_compile_cache

_HOUR_S = 3600


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    prepare_compile_cache(tmp_path / "cache")
    return tmp_path / "cache"


def unit(cache: Path, name: str, age_s: float, size_bytes: int = 100_000) -> Path:
    folder = cache / name
    (folder / "triton" / "abc").mkdir(parents=True)
    (folder / "triton" / "abc" / "kernel.cubin").write_bytes(b"x" * size_bytes)
    used = folder / ".used"
    used.touch()
    os.utime(used, (time.time() - age_s, time.time() - age_s))
    return folder


def test_the_folder_is_writable_for_all_and_sticky_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        prepare_compile_cache(tmp_path / "cache")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o1777
    (tmp_path / "cache").chmod(0o777)
    prepare_compile_cache(tmp_path / "cache")
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o1777


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_not_a_folder_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    if kind == "file":
        (tmp_path / "cache").touch()
    else:
        (tmp_path / "cache").symlink_to("elsewhere")
    with pytest.raises(DiskError, match="leave --compile-cache out"):
        prepare_compile_cache(tmp_path / "cache")
    assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) == 0o700


def test_without_a_folder_to_make_it_in_the_path_is_told(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match=r"none/cache: the compile cache cannot be made"):
        prepare_compile_cache(tmp_path / "none" / "cache")


def test_within_its_size_everything_stays(cache: Path) -> None:
    unit(cache, "uid-1/a/cpu", 100 * _HOUR_S)
    done = clean_compile_cache(cache, 10_000_000)
    assert done.removed == ()
    assert 100_000 < done.size_bytes < 200_000
    assert (cache / "uid-1/a/cpu/triton/abc/kernel.cubin").exists()


def test_what_was_used_longest_ago_goes_first_and_as_a_whole(cache: Path) -> None:
    for name, age_h in (("uid-1/a/cpu", 5), ("uid-1/b/H200", 9), ("uid-2/a/cpu", 7), ("uid-2/a/T4", 3)):
        unit(cache, name, age_h * _HOUR_S)
    each = clean_compile_cache(cache, 10_000_000).size_bytes // 4
    done = clean_compile_cache(cache, 2 * each)
    assert done.removed == ("uid-1/b/H200", "uid-2/a/cpu")
    assert (done.size_bytes, done.freed_bytes) == (2 * each, 2 * each)
    left = sorted(str(path.relative_to(cache)) for path in cache.glob("*/*/*"))
    assert left == ["uid-1/a/cpu", "uid-2/a/T4"]
    assert not (cache / "uid-1/b").exists()


def test_what_a_model_has_just_started_with_stays(cache: Path) -> None:
    unit(cache, "uid-1/a/cpu", 60)
    done = clean_compile_cache(cache, 1)
    assert done.removed == ()
    assert done.size_bytes > 1


def test_a_time_to_come_counts_as_now(cache: Path) -> None:
    unit(cache, "uid-1/a/cpu", -1000 * _HOUR_S)
    unit(cache, "uid-1/b/cpu", 2 * _HOUR_S)
    assert clean_compile_cache(cache, 1).removed == ("uid-1/b/cpu",)


def test_a_unit_without_the_mark_has_the_time_of_its_folder(cache: Path) -> None:
    folder = unit(cache, "uid-1/a/cpu", 0)
    (folder / ".used").unlink()
    os.utime(folder, (0, 0))
    assert clean_compile_cache(cache, 1).removed == ("uid-1/a/cpu",)


@pytest.mark.parametrize("name", ["uid-1", "uid-1/a", "uid-1/a/cpu", "uid-1/a/cpu/triton"])
def test_a_link_leads_nowhere(cache: Path, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    unit(elsewhere, "a/a/cpu", 9 * _HOUR_S, 900_000)
    os.utime(elsewhere / "a" / "a" / "cpu", (0, 0))
    before = sorted(elsewhere.rglob("*"))
    link = cache / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(elsewhere / "/".join(["a", "a", "cpu"][: 3 - name.count("/")]))
    if name.endswith("triton"):
        os.utime(link.parent, (0, 0))
    done = clean_compile_cache(cache, 1)
    assert sorted(elsewhere.rglob("*")) == before
    assert done.size_bytes < 900_000


def test_a_folder_that_becomes_a_link_before_it_is_removed_leads_nowhere(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit(cache, "uid-1/a/cpu", 9 * _HOUR_S)
    victim = unit(tmp_path / "victim", "cpu", 0)
    real = compile_cache._remove

    def swap(top: int, parts: tuple[str, ...]) -> None:
        (cache / "uid-1" / "a").rename(cache / "uid-1" / "b")
        (cache / "uid-1" / "a").symlink_to(tmp_path / "victim")
        real(top, parts)

    monkeypatch.setattr(compile_cache, "_remove", swap)
    clean_compile_cache(cache, 1)
    assert (victim / "triton/abc/kernel.cubin").exists()


def test_what_a_killed_daemon_has_left_is_removed_and_what_others_put_there_stays(cache: Path) -> None:
    unit(cache, ".removed-0123/x/y", 0)
    (cache / "lost+found").mkdir()
    (cache / "uid-1").touch()
    clean_compile_cache(cache, 1)
    assert sorted(path.name for path in cache.iterdir()) == ["lost+found", "uid-1"]


def test_without_the_power_to_look_into_folders_of_models_the_message_names_it(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> object:
        raise PermissionError(13, "Permission denied", "uid-1")

    monkeypatch.setattr(compile_cache, "_units", refuse)
    with pytest.raises(DiskError, match="DAC_OVERRIDE"):
        clean_compile_cache(cache, 1)
