"""Repairs of fake prefixes: what is restored, in which order, and what is reported."""

import errno
import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.errors import DamageError, DiskError, PrefixInUseError
from daemon.install.gpu_architectures import LIBRARY
from daemon.prefix.gpu_architectures import architectures_path, read_architectures
from daemon.upkeep.repair_source import RepairSource
from daemon.upkeep.tree_repair import TreeRepair
from tests.fake_prefix.fake_node import ALPHA, FakeNode
from tests.fake_prefix.fake_prefix import INTERPRETER, SITE_PACKAGES
from tests.faults.harm import harm
from tests.synthetic.catalog import environment_cell


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    return FakeNode(tmp_path, monkeypatch)


def test_nothing_is_done_and_said_where_nothing_is_damaged(node: FakeNode) -> None:
    result, said = node.repair()
    assert (result.findings, result.failures, said) == ([], {}, "")
    assert (result.trees, result.interpreters) == (3, 1)


def test_extra_and_unreadable_entries_of_the_stores_are_removed_and_folders_stay(
    node: FakeNode,
) -> None:
    stray = [node.prefix.files / "stray", node.prefix.wheels / "stray", node.prefix.bytecode / "stray"]
    for path in stray:
        path.write_text("")
    entry = next(path for path in sorted(node.prefix.files.rglob("*")) if len(path.name) == 64)
    entry.unlink()
    entry.mkdir()
    (node.prefix.toolkits / "lost+found").mkdir()
    (node.prefix.generations / "notes").write_text("")
    result, _ = node.repair()
    assert {f"{finding.tree}/{finding.path}" for finding in result.findings} == {
        "cuda/lost+found", "monobase/notes",
    }  # fmt: skip
    assert not any(os.path.lexists(path) for path in (*stray, entry))


def test_a_damaged_record_of_gpu_architectures_is_read_from_the_wheel_again(node: FakeNode) -> None:
    torch = node.fake.wheel("torch", "2.14.0", files={LIBRARY: b"\0sm_80 sm_90\0"})
    node.fake.install(3, environment_cell([torch], "2.14.0", "cu130"))
    path = architectures_path(node.prefix, torch.sha256)
    path.write_bytes(b"junk")
    node.repair_all()
    assert read_architectures(node.prefix, torch.sha256) == ("sm_80", "sm_90")


def test_what_is_extra_in_an_interpreter_is_removed(node: FakeNode) -> None:
    (node.fake.interpreter / "bin" / "extra").write_text("")
    assert f"removed uv/python/{INTERPRETER}: bin/extra" in node.repair_all()


def test_an_interpreter_that_cannot_be_downloaded_keeps_nothing_else_damaged(node: FakeNode) -> None:
    harm(next(node.fake.interpreter.rglob("os.py")), "cut")
    harm(node.file(f"{ALPHA}/data"), "gone")
    result, _ = node.repair()
    assert {finding.tree for finding in result.findings} == {f"uv/python/{INTERPRETER}"}
    assert "cannot be downloaded: downloads are switched off" in str(
        result.failures[f"uv/python/{INTERPRETER}"]
    )


def _newer_mark(node: FakeNode) -> None:
    node.fake.make_newer(0)


def _newer_tree(node: FakeNode) -> None:
    node.fake.make_tree_newer(node.fake.tree(0))


@pytest.mark.parametrize("make_newer", [_newer_mark, _newer_tree])
def test_what_a_newer_release_has_written_is_left_alone(
    node: FakeNode, make_newer: Callable[[FakeNode], None]
) -> None:
    make_newer(node)
    before = {path: path.read_bytes() for path in (node.prefix.sealed_mark("g00000"), node.file(".manifest"))}
    node.file(f"{ALPHA}/data").unlink()
    harm(node.file("pyvenv.cfg", 1), "gone")
    result, _ = node.repair()
    assert {finding.kind for finding in result.findings} - {"missing"} == {"newer"}
    assert all("g00000" in str(finding) for finding in result.findings)
    assert all(path.read_bytes() == content for path, content in before.items())
    assert not node.file(f"{ALPHA}/data").exists()


def test_an_inventory_that_a_newer_release_has_written_is_left_alone(node: FakeNode) -> None:
    path = next(node.prefix.wheels.glob("*.files.gz"))
    text = gzip.decompress(path.read_bytes()).replace(b"monobase-inventory 1", b"monobase-inventory 999")
    path.write_bytes(gzip.compress(text))
    before = path.read_bytes()
    result, _ = node.repair()
    assert {finding.kind for finding in result.findings} == {"newer"}
    assert path.read_bytes() == before


# --- failures, and how all of it is reported ---


def _fail_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object) -> None:
        raise error

    monkeypatch.setattr(TreeRepair, "run", run)


def test_a_refusal_of_the_file_system_fails_one_tree(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    harm(node.file(f"{ALPHA}/data"), "gone")
    _fail_with(OSError(errno.ENOTTY, "Inappropriate ioctl for device", "/some/file"), monkeypatch)
    result, _ = node.repair()
    (error,) = result.failures.values()
    assert isinstance(error, DamageError)
    assert str(error) == "/some/file: Inappropriate ioctl for device; look at it, and try again"


def test_a_full_disk_ends_the_repair(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    harm(node.file(f"{ALPHA}/data"), "gone")
    _fail_with(OSError(errno.ENOSPC, "No space left on device"), monkeypatch)
    with pytest.raises(DiskError):
        node.repair()
    assert not node.prefix.staging.exists()


def test_a_repair_that_lost_its_lock_changes_nothing_more(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = node.file(".manifest")
    manifest.write_bytes(b"junk")
    rebuild = RepairSource.rebuild

    def rebuild_without_lock(source: RepairSource, label: str) -> Path:
        node.prefix.lock_file.unlink()
        return rebuild(source, label)

    monkeypatch.setattr(RepairSource, "rebuild", rebuild_without_lock)
    with pytest.raises(PrefixInUseError):
        node.repair()
    assert manifest.read_bytes() == b"junk"


def test_machines_are_told_each_finding_and_each_path(node: FakeNode) -> None:
    harm(node.file(f"{ALPHA}/data"), "gone")
    harm(node.file("pyvenv.cfg"), "gone")
    _, said = node.repair(log_format="json")
    entries = [json.loads(line) for line in said.splitlines()]
    assert [entry["path"] for entry in entries if "path" in entry] == [f"{ALPHA}/data", "pyvenv.cfg"]
    assert sorted(path for entry in entries for path in entry.get("paths", ())) == sorted(
        [f"{ALPHA}/data", "pyvenv.cfg"]
    )


def test_many_restored_files_are_one_line_with_some_names(node: FakeNode) -> None:
    many = node.fake.wheel("many", files={f"many/{number}.txt": b"%d" % number for number in range(12)})
    node.fake.install(2, environment_cell([many]))
    shutil.rmtree(node.file(f"{SITE_PACKAGES}/many", 2))
    result, said = node.repair("g00002", stores=False)
    assert result.findings == []
    (line,) = (line for line in said.splitlines() if "restored" in line)
    assert ": 12 files: " in line
    assert line.endswith(" and more")
