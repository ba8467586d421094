import os
from pathlib import Path

import pytest

from daemon.errors import WheelContentError
from daemon.uv.cache import (
    drop_wheel,
    fetched_archive,
    find_archive,
    holds_wheels,
    in_the_way,
    move_wheel,
    remove_leftovers,
    remove_outdated,
    stands_in,
    unused_wheels,
)
from gens.lock import LockedWheel

_OWN = Path("wheels-v8/index/own")
_WHEEL = LockedWheel("alpha", "1.0", "ab" * 32, "alpha-1.0-py3-none-any.whl", 10)


def _cached(cache: Path, sha256: str, index: str = "pypi", archive: str = "ID") -> Path:
    (cache / "archive-v0" / archive).mkdir(parents=True)
    folder = cache / "wheels-v8" / index / "alpha"
    folder.mkdir(parents=True)
    (folder / "1.0-py3-none-any.http").write_bytes(b"\x93" + sha256.encode())
    ups = "../" * (2 + len(index.split("/")))
    (folder / "1.0-py3-none-any").symlink_to(f"{ups}archive-v0/{archive}")
    return cache / "archive-v0" / archive


def test_the_archive_with_the_locked_digest_is_found(tmp_path: Path) -> None:
    _cached(tmp_path, "cd" * 32)
    archive = _cached(tmp_path, _WHEEL.sha256, "index/0123", "OTHER")
    assert find_archive(tmp_path, _WHEEL) == archive.resolve()


def test_a_new_cache_holds_no_wheels(tmp_path: Path) -> None:
    (tmp_path / "archive-v0").mkdir()
    assert not holds_wheels(tmp_path)
    _cached(tmp_path, _WHEEL.sha256)
    assert holds_wheels(tmp_path)


def test_a_wheel_of_the_same_name_with_another_digest_is_not_it(tmp_path: Path) -> None:
    _cached(tmp_path, "cd" * 32)
    assert find_archive(tmp_path, _WHEEL) is None


def test_an_archive_that_is_gone_is_not_found(tmp_path: Path) -> None:
    _cached(tmp_path, _WHEEL.sha256).rmdir()
    assert find_archive(tmp_path, _WHEEL) is None


def test_what_is_no_pointer_is_not_waited_for(tmp_path: Path) -> None:
    _cached(tmp_path, _WHEEL.sha256)
    pointer = next(tmp_path.rglob("*.http"))
    for make in (os.mkfifo, Path.mkdir):
        pointer.unlink()
        make(pointer)
        assert find_archive(tmp_path, _WHEEL) is None
        assert in_the_way(tmp_path, _WHEEL) == []


def test_a_dropped_wheel_is_gone_and_others_stay(tmp_path: Path) -> None:
    other = _cached(tmp_path, "cd" * 32)
    archive = _cached(tmp_path, _WHEEL.sha256, "index/0123", "OTHER")
    assert drop_wheel(tmp_path, _WHEEL)
    assert not archive.exists()
    assert other.exists()
    assert not drop_wheel(tmp_path, _WHEEL)


def test_what_a_killed_uv_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".tmpAbc" / "torch").mkdir(parents=True)
    archive = _cached(tmp_path, _WHEEL.sha256)
    assert remove_leftovers(tmp_path) == 1
    assert not (tmp_path / ".tmpAbc").exists()
    assert archive.exists()


def test_a_wheel_moves_to_another_index_and_is_found_there_alone(tmp_path: Path) -> None:
    archive = _cached(tmp_path, _WHEEL.sha256, "index/0123")
    assert not stands_in(tmp_path, _OWN, _WHEEL)
    assert move_wheel(tmp_path, _OWN, _WHEEL) == "there"
    assert stands_in(tmp_path, _OWN, _WHEEL)
    assert move_wheel(tmp_path, _OWN, _WHEEL) == "there"
    assert find_archive(tmp_path, _WHEEL) == archive.resolve()
    assert [path for path in tmp_path.rglob("*") if path.suffix == ".http"] == [
        tmp_path / _OWN / "alpha" / "1.0-py3-none-any.http"
    ]
    assert list((tmp_path / "wheels-v8/index/0123/alpha").iterdir()) == []
    assert drop_wheel(tmp_path, _WHEEL)
    assert not archive.exists()


def test_a_wheel_does_not_take_the_place_of_another_one_of_its_name(tmp_path: Path) -> None:
    _cached(tmp_path, "cd" * 32, "index/own")
    _cached(tmp_path, _WHEEL.sha256, "index/0123", "OTHER")
    assert move_wheel(tmp_path, _OWN, _WHEEL) == "taken"
    assert move_wheel(tmp_path, Path("wheels-v8/index/second"), _WHEEL) == "there"
    assert [other.sha256 for other in in_the_way(tmp_path, _WHEEL)] == ["cd" * 32]


def test_a_place_whose_archive_is_gone_is_free(tmp_path: Path) -> None:
    _cached(tmp_path, "cd" * 32, "index/own").rmdir()
    _cached(tmp_path, _WHEEL.sha256, "index/0123", "OTHER")
    assert move_wheel(tmp_path, _OWN, _WHEEL) == "there"
    assert find_archive(tmp_path, _WHEEL) is not None


def test_a_wheel_that_came_from_a_folder_stays_where_it_is(tmp_path: Path) -> None:
    _cached(tmp_path, _WHEEL.sha256, "index/0123")
    pointer = tmp_path / "wheels-v8/index/0123/alpha/1.0-py3-none-any.http"
    pointer.rename(pointer.with_suffix(".rev"))
    assert move_wheel(tmp_path, _OWN, _WHEEL) == "absent"
    assert find_archive(tmp_path, _WHEEL) is not None


def test_what_another_uv_keeps_in_another_form_is_removed(tmp_path: Path) -> None:
    _cached(tmp_path, _WHEEL.sha256, "index/own")
    (tmp_path / "wheels-v7" / "index" / "x").mkdir(parents=True)
    assert remove_outdated(tmp_path, _OWN) == ["wheels-v7"]
    assert remove_outdated(tmp_path, _OWN) == []
    assert find_archive(tmp_path, _WHEEL) is not None


def test_a_wheel_that_was_not_fetched_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(WheelContentError, match=f"^{_WHEEL.filename}: .*run the install again"):
        fetched_archive(tmp_path, _WHEEL)
    archive = _cached(tmp_path, _WHEEL.sha256)
    assert fetched_archive(tmp_path, _WHEEL) == archive.resolve()


def test_an_unused_wheel_is_its_pointer_its_link_and_its_archive(tmp_path: Path) -> None:
    used = _cached(tmp_path, "cd" * 32)
    archive = _cached(tmp_path, _WHEEL.sha256, "index/0123", "OTHER")
    (found,) = unused_wheels(tmp_path, {"cd" * 32})
    place = tmp_path / "wheels-v8/index/0123/alpha/1.0-py3-none-any"
    assert found.package == "alpha"
    assert set(found.paths) == {place, place.with_name(f"{place.name}.http"), archive}
    assert used.exists()


def test_of_an_unused_wheel_without_an_archive_the_rest_is_found(tmp_path: Path) -> None:
    _cached(tmp_path, _WHEEL.sha256).rmdir()
    (found,) = unused_wheels(tmp_path, set())
    assert [path.suffix for path in found.paths] == [".http", ".0-py3-none-any"]


def test_what_holds_no_digest_is_not_called_a_wheel(tmp_path: Path) -> None:
    _cached(tmp_path, "not a digest")
    (tmp_path / "wheels-v8/pypi/alpha/other.msgpack").write_text(_WHEEL.sha256)
    (tmp_path / "wheels-v8/pypi/a file").write_text(_WHEEL.sha256)
    assert list(unused_wheels(tmp_path, set())) == []
