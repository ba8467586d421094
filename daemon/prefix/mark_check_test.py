"""A sealed generation whose manifests or list are not the ones of its sealing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.prefix.finding import Finding
from daemon.prefix.mark_check import check_mark
from tests.fake_prefix.fake_prefix import FakePrefix


def _broken_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


_HARMS: dict[str, tuple[str, Callable[[Path], object], str, str]] = {
    "another list": ("environments", lambda path: path.write_bytes(b"x"), "changed", "does not have sha256:"),
    "no list": ("environments", lambda path: path.unlink(), "missing", ""),
    "a folder as list": ("environments", _folder, "unreadable", "Is a directory"),
    "another manifest": ("python/.manifest", lambda path: path.write_bytes(b"x"), "changed", "does not have"),
    "no manifest": ("python/.manifest", lambda path: path.unlink(), "missing", ""),
    "a link as mark": (".done", _broken_link, "unreadable", "a broken link"),
    "a cut mark": (".done", lambda path: path.write_bytes(b"{"), "unreadable", "is damaged"),
}


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.install(0)
    return fake


@pytest.mark.parametrize("harm", _HARMS)
def test_each_difference_from_the_mark_is_one_finding(fake: FakePrefix, harm: str) -> None:
    place, act, kind, detail = _HARMS[harm]
    place = place.replace("python/", f"{fake.environment}/")
    act(fake.prefix.generation("g00000") / place)
    found: list[Finding] = []
    mark = check_mark(fake.prefix, "g00000", found)
    assert [(item.path, item.kind) for item in found] == [(place, kind)]
    assert detail in found[0].detail
    assert (mark is None) == (place == ".done")


def test_a_generation_without_a_mark_has_nothing_to_differ_from(fake: FakePrefix) -> None:
    found: list[Finding] = []
    fake.prefix.sealed_mark("g00000").unlink()
    assert check_mark(fake.prefix, "g00000", found) is None
    assert check_mark(fake.prefix, "g00009", found) is None
    assert found == []
