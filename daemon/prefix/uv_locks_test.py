"""uv's locks are in memory while a writer writes, and none is left for a model to hold."""

import os
from pathlib import Path

import pytest

from daemon.prefix.prefix import Prefix
from daemon.prefix.uv_locks import (
    private_uv_locks,
    remove_uv_locks,
    share_private_lock,
    waited_for_a_lock,
)


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    prefix = Prefix(tmp_path)
    prefix.make_directories()
    return prefix


def test_the_locks_lead_to_inherited_descriptors_and_go_at_the_end(prefix: Prefix) -> None:
    paths = (prefix.uv_cache / ".lock", prefix.uv_python / ".lock")
    paths[0].write_bytes(b"of another uv")
    with private_uv_locks(prefix) as descriptors:
        for path, descriptor in zip(paths, descriptors, strict=True):
            assert os.stat(path).st_ino == os.fstat(descriptor).st_ino  # noqa: PTH116 (as uv opens it)
    assert not any(os.path.lexists(path) for path in paths)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptors[0])


def test_a_cache_of_its_own_has_the_lock_in_memory_through_all_tries(prefix: Prefix) -> None:
    cache = prefix.staging / "probe" / "cache"
    with private_uv_locks(prefix) as descriptors:
        share_private_lock(prefix, cache)
        remove_uv_locks(prefix, cache)
        assert os.stat(cache / ".lock").st_ino == os.fstat(descriptors[0]).st_ino  # noqa: PTH116 (as uv)
    share_private_lock(prefix, prefix.staging / "other")
    assert not (prefix.staging / "other").exists()


@pytest.mark.parametrize("own", [False, True], ids=["the cache of the prefix", "a cache of its own"])
def test_locks_of_wheels_of_environments_and_of_the_target_are_removed(prefix: Prefix, own: bool) -> None:
    cache = prefix.staging / "probe" / "cache" if own else prefix.uv_cache
    target = prefix.staging / "probe" / "target"
    left = [
        prefix.staging / "g00000.python3.11" / ".lock",
        target / ".lock",
        cache / "sdists-v9" / ".git",
        cache / "wheels-v8" / "index" / "abc" / "alpha" / "1.0-py3-none-any.lock",
    ]
    kept = cache / "wheels-v8" / "index" / "abc" / "alpha" / "1.0-py3-none-any.http"
    for path in (*left, kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    remove_uv_locks(prefix, cache, target)
    assert not any(path.exists() for path in left)
    assert kept.exists()


def test_a_uv_that_gave_up_on_a_lock_says_so() -> None:
    assert waited_for_a_lock("error: Timeout (5s) when waiting for lock on `x`")
    assert not waited_for_a_lock("error: no such file")
