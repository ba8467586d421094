"""The link `latest`, however it is spelled, and whatever it leads to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.prefix.latest import latest_name, point_latest
from daemon.prefix.writer_lock import WriterLock, writer_lock
from tests.fake_prefix.fake_prefix import FakePrefix


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    for number in range(2):
        fake.define(number)
        fake.publish(number)
        fake.seal(number)
    return fake


@pytest.fixture
def writer(fake: FakePrefix) -> Iterator[WriterLock]:
    with writer_lock(fake.prefix, 0, lambda _: None) as writer:
        yield writer


def test_latest_names_the_newest_sealed_generation_and_is_moved_only_when_it_changes(
    fake: FakePrefix, writer: WriterLock
) -> None:
    generations = [fake.generation(1), fake.generation(0)]
    assert point_latest(writer, generations) == "g00001"
    inode = fake.prefix.latest.lstat().st_ino
    assert point_latest(writer, generations) == "g00001"
    assert fake.prefix.latest.lstat().st_ino == inode
    fake.prefix.sealed_mark("g00001").unlink()
    assert point_latest(writer, generations) == "g00000"
    fake.prefix.sealed_mark("g00000").unlink()
    assert point_latest(writer, generations) is None
    assert latest_name(fake.prefix) == "g00000"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("g00001", "g00001"),
        ("./g00001/", "g00001"),
        ("../monobase/g00001", "g00001"),
        ("g00009", "g00009"),
        ("/etc", "/etc"),
        ("latest", "latest"),
    ],
)
def test_latest_is_read_by_what_it_leads_to_and_else_by_its_text(
    fake: FakePrefix, text: str, name: str | None
) -> None:
    fake.prefix.latest.symlink_to(text)
    assert latest_name(fake.prefix) == name


def test_no_link_is_no_name(fake: FakePrefix) -> None:
    assert latest_name(fake.prefix) is None
    fake.prefix.latest.mkdir()
    assert latest_name(fake.prefix) is None
