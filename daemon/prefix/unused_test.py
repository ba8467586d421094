"""Finds what nothing uses, and neither what is used nor what no install made."""

import os
from pathlib import Path

import pytest

from daemon.errors import DamageError
from daemon.host.removal import LinkCount
from daemon.prefix import unused
from daemon.prefix.manifest import Manifest, read_manifest
from daemon.prefix.unused import Used, read_used, unused_contents, unused_records, unused_trees
from tests.fake_prefix.fake_prefix import BYTECODE_KEY, INTERPRETER, FakePrefix
from tests.synthetic.catalog import PYTHON_FULL


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.install(0)
    return fake


def _locked(fake: FakePrefix) -> set[str]:
    generation = fake.generation(0)
    return {
        wheel.sha256
        for target in generation.targets
        for wheel in fake.catalog.lock(generation, target).wheels
    }


def test_of_an_installed_generation_everything_is_used(fake: FakePrefix) -> None:
    used = read_used(fake.prefix, ["g00000"], _locked(fake), [])
    assert used.interpreters == {INTERPRETER}
    assert [*unused_trees(fake.prefix, used), *unused_records(fake.prefix, used)] == []
    assert list(unused_contents(fake.prefix, LinkCount())) == []


def test_what_active_definitions_need_is_used_though_nothing_is_installed(fake: FakePrefix) -> None:
    used = read_used(fake.prefix, [], _locked(fake), [PYTHON_FULL])
    assert used.interpreters == {INTERPRETER}
    assert [item.name for item in unused_trees(fake.prefix, used)] == ["cudnn-9.1.0.70-cuda12"]
    assert {item.name.partition(".")[2] for item in unused_records(fake.prefix, used)} == {
        f"{BYTECODE_KEY}.pyc.gz",
        BYTECODE_KEY.partition(".")[2],
    }


def test_nothing_remains_and_all_of_it_is_unused_with_its_marks_and_links(fake: FakePrefix) -> None:
    alias = fake.prefix.uv_python / "cpython-alias"
    alias.symlink_to(fake.prefix.uv_python / INTERPRETER)
    found = [(item.kind, item.name) for item in unused_trees(fake.prefix, Used())]
    assert found == [
        ("toolkit", "cudnn-9.1.0.70-cuda12"),
        ("interpreter", INTERPRETER),
        ("record", f".{INTERPRETER}.complete"),
        ("record", "cpython-alias"),
    ]
    assert len(list(unused_records(fake.prefix, Used()))) == len(list(fake.prefix.wheels.iterdir())) + 1


def test_bytecode_that_no_list_names_is_unused(fake: FakePrefix) -> None:
    stray = fake.prefix.bytecode / BYTECODE_KEY / "ab" / f"{'ab' * 32}-{'0' * 64}.pyc"
    stray.parent.mkdir(exist_ok=True)
    stray.touch()
    used = read_used(fake.prefix, ["g00000"], _locked(fake), [])
    assert [item.path for item in unused_records(fake.prefix, used)] == [str(stray)]


def test_what_a_person_put_there_is_not_unused(fake: FakePrefix) -> None:
    for folder in (fake.prefix.toolkits, fake.prefix.uv_python, fake.prefix.bytecode, fake.prefix.wheels):
        (folder / "lost+found").mkdir()
    (fake.prefix.generation("g00000") / "notes").mkdir()
    (fake.prefix.files / "notes").touch()
    used = read_used(fake.prefix, ["g00000"], _locked(fake), [])
    assert [*unused_trees(fake.prefix, used), *unused_records(fake.prefix, used)] == []
    assert list(unused_contents(fake.prefix, LinkCount())) == []


def test_a_content_is_unused_when_its_last_other_link_goes(fake: FakePrefix) -> None:
    (fake.prefix.files / "ab").mkdir(exist_ok=True)
    entry = fake.prefix.files / "ab" / ("ab" * 32)
    entry.write_bytes(b"content")
    other = fake.directory / "other"
    os.link(entry, other)
    assert list(unused_contents(fake.prefix, LinkCount())) == []
    count = LinkCount()
    count.take_tree(str(other))
    assert [item.path for item in unused_contents(fake.prefix, count)] == [str(entry)]


def test_without_a_manifest_nothing_is_known_to_be_unused(fake: FakePrefix) -> None:
    (fake.tree(0) / ".manifest").unlink()
    with pytest.raises(DamageError):
        read_used(fake.prefix, ["g00000"], [], [])


def test_an_environment_that_is_evicted_while_it_is_looked_at_uses_nothing(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    def evict_and_read(path: Path) -> Manifest:
        path.parent.rename(tmp := fake.prefix.root / "evicted")
        assert tmp.is_dir()
        return read_manifest(path)

    monkeypatch.setattr(unused, "read_manifest", evict_and_read)
    assert read_used(fake.prefix, ["g00000"], [], []).wheels == set()


def test_a_generation_that_was_pruned_meanwhile_uses_nothing(fake: FakePrefix) -> None:
    assert read_used(fake.prefix, ["g00009"], [], []) == Used()


def test_stores_that_are_not_there_hold_nothing(tmp_path: Path) -> None:
    fake = FakePrefix(tmp_path)
    for folder in (fake.prefix.toolkits, fake.prefix.uv_python, fake.prefix.bytecode, fake.prefix.wheels):
        folder.rmdir()
    assert [*unused_trees(fake.prefix, Used()), *unused_records(fake.prefix, Used())] == []
