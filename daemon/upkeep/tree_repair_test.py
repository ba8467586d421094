"""Repairs of the files of environments and toolkits, and of trees as a whole."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fake_prefix.fake_node import ALPHA, BYTECODE, CUDNN, LIBRARY, FakeNode
from tests.faults.harm import harm


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    return FakeNode(tmp_path, monkeypatch)


@pytest.mark.parametrize("way", ["gone", "mode", "extra", "link", "folder"])
@pytest.mark.parametrize("path", [f"{ALPHA}/data", BYTECODE, "pyvenv.cfg"])
def test_a_file_whose_content_the_prefix_has_comes_back_without_a_download(
    node: FakeNode, path: str, way: str
) -> None:
    harm(node.file(path), way)
    node.lost = {"alpha"}
    said = node.repair_all()
    assert ("removed" if way == "extra" else "restored") in said
    assert node.fetched == []
    shared = path != "pyvenv.cfg"  # which names its own folder in a real environment
    assert not shared or node.file(path).samefile(node.file(path, 1))


@pytest.mark.parametrize("way", ["bytes", "cut", "grown"])
def test_an_inode_that_was_written_to_is_replaced_in_each_generation_by_one_download(
    node: FakeNode, way: str
) -> None:
    content = node.file(f"{ALPHA}/data").read_bytes()
    harm(node.file(f"{ALPHA}/data"), way)
    said = node.repair_all()
    assert node.fetched == ["alpha"]
    assert node.file(f"{ALPHA}/data").read_bytes() == content
    assert node.file(f"{ALPHA}/data").samefile(node.file(f"{ALPHA}/data", 1))
    assert f"restored monobase/g00000/{node.fake.environment}: {ALPHA}/data" in said


def test_bytecode_that_was_written_to_is_compiled_again(node: FakeNode) -> None:
    content = node.file(BYTECODE).read_bytes()
    harm(node.file(BYTECODE), "bytes")
    node.repair_all()
    assert node.fetched == []
    assert node.file(BYTECODE).read_bytes() == content


def test_a_file_that_uv_wrote_comes_from_a_rebuilt_environment(node: FakeNode) -> None:
    record = next(node.fake.tree(0).rglob("RECORD"))
    harm(record, "cut")
    node.repair_all()
    assert node.fetched == []


def test_a_file_of_a_toolkit_comes_from_the_cache_or_else_from_the_index(node: FakeNode) -> None:
    library = node.prefix.toolkits / CUDNN / LIBRARY
    harm(library, "gone")
    node.repair_all()
    assert node.fetched == []
    harm(library, "bytes")
    node.repair_all()
    assert node.fetched == ["nvidia-cudnn-cu12"]


def test_links_and_folders_of_a_tree_are_restored(node: FakeNode) -> None:
    program = node.file("bin/python")
    target = program.readlink()
    program.unlink()
    program.write_text("#!/bin/sh\n")
    node.file(ALPHA).chmod(0o700)
    node.fake.tree(0).chmod(0o777)
    shutil.rmtree(node.file("lib", 1))
    node.file("lib", 1).write_text("a file")
    node.repair_all()
    assert program.readlink() == target


def test_a_wheel_that_no_lock_names_leaves_its_file_damaged_and_restores_the_others(
    node: FakeNode,
) -> None:
    harm(node.file(f"{ALPHA}/data"), "bytes")
    harm(node.file("pyvenv.cfg"), "gone")
    node.remove_cache()
    shutil.rmtree(node.fake.directory / "gens")
    node.fake.define(7)
    for path in (node.fake.directory / "gens" / "g00007").iterdir():
        path.unlink()
    result, said = node.repair()
    trees = {f"monobase/{name}/{node.fake.environment}" for name in ("g00000", "g00001")}
    assert {finding.tree for finding in result.findings} == set(result.failures) == trees
    assert all("no lock names the wheel sha256:" in str(error) for error in result.failures.values())
    assert f"{ALPHA}/data" in str(result.findings[0])
    assert "could not be restored: " in said


def test_a_wheel_that_failed_is_requested_once_and_keeps_no_other_tree_damaged(node: FakeNode) -> None:
    harm(node.file(f"{ALPHA}/data"), "bytes")
    harm(node.prefix.toolkits / CUDNN / "include" / "cudnn.h", "gone")
    node.lost = {"alpha"}
    result, said = node.repair()
    assert {finding.tree.partition("/")[0] for finding in result.findings} == {"monobase"}
    assert all("is not on the index" in str(error) for error in result.failures.values())
    assert said.count("fetch ") == 1
    node.lost.clear()
    node.repair_all()


def _junk(path: Path) -> None:
    (path / ".manifest").write_bytes(b"junk")


def _to_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("")


def _to_link(path: Path) -> None:
    shutil.rmtree(path)
    path.symlink_to("/etc")


@pytest.mark.parametrize("damage", [_junk, shutil.rmtree, _to_file, _to_link])
def test_an_environment_without_its_manifest_is_rebuilt(
    node: FakeNode, damage: Callable[[Path], None]
) -> None:
    tree = node.fake.tree(0)
    (tree / "extra").write_text("")
    kept = (tree / f"{ALPHA}/data").stat().st_ino
    damage(tree)
    node.repair_all()
    assert (tree / f"{ALPHA}/data").stat().st_ino == kept


@pytest.mark.parametrize("damage", [_junk, shutil.rmtree])
def test_a_toolkit_without_its_manifest_is_rebuilt(node: FakeNode, damage: Callable[[Path], None]) -> None:
    damage(node.prefix.toolkits / CUDNN)
    node.repair_all()
    assert (node.prefix.toolkits / CUDNN / "lib" / "libcudnn.so").readlink() == Path("libcudnn.so.9")


def test_a_damaged_toolkit_that_nothing_uses_is_removed(node: FakeNode) -> None:
    for name in ("g00000", "g00001"):
        shutil.rmtree(node.prefix.generation(name))
    node.prefix.latest.unlink()
    harm(node.prefix.toolkits / CUDNN / LIBRARY, "gone")
    assert f"removed cuda/{CUDNN}: no generation uses it" in node.repair_all()
    assert not (node.prefix.toolkits / CUDNN).exists()


def test_a_tree_that_no_definition_names_stays_damaged_and_its_mark_waits_for_it(
    node: FakeNode,
) -> None:
    _junk(node.fake.tree(0))
    node.prefix.environments_file("g00000").write_text("junk")
    (node.fake.directory / "gens" / "g00000.json").unlink()
    result, _ = node.repair()
    tree = f"monobase/g00000/{node.fake.environment}"
    assert list(result.failures) == [tree, "monobase/g00000"]
    assert "there is no generation 0" in str(result.failures[tree])
    assert str(result.failures["monobase/g00000"]) == f"waits for what could not be restored: {tree}"
