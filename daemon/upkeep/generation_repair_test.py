"""Repairs of the folders of generations."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.host.file_content import file_sha256
from daemon.prefix.mark import PART_FORMAT, read_mark, write_mark
from tests.fake_prefix.fake_node import CUDNN, FakeNode


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    return FakeNode(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("to", "mark"),
    [
        ("gone", "sound"),
        ("elsewhere", "sound"),
        ("folder", "sound"),
        ("elsewhere", "damaged"),
        ("folder", "damaged"),
    ],
)  # fmt: skip
def test_the_link_of_a_toolkit_is_restored(node: FakeNode, to: str, mark: str) -> None:
    link = node.prefix.generation("g00000") / node.fake.toolkit
    link.unlink()
    if to == "elsewhere":
        link.symlink_to("/etc")
    elif to == "folder":
        link.mkdir()
    if mark == "damaged":
        node.prefix.sealed_mark("g00000").write_text("{")
    node.repair_all()
    assert link.readlink() == Path(f"../../cuda/{CUDNN}")


def test_a_link_and_its_toolkit_are_both_restored(node: FakeNode) -> None:
    (node.prefix.generation("g00000") / node.fake.toolkit).unlink()
    shutil.rmtree(node.prefix.toolkits / CUDNN)
    node.repair_all()


@pytest.mark.parametrize("name", [".done", "environments"])
@pytest.mark.parametrize(
    "damage", [lambda path: path.write_text("junk"), lambda path: (path.unlink(), path.mkdir())]
)
def test_the_mark_and_the_list_of_a_generation_are_written_again(
    node: FakeNode, name: str, damage: Callable[[Path], object]
) -> None:
    path = node.prefix.generation("g00000") / name
    before = path.read_bytes()
    damage(path)
    assert f"restored monobase/g00000: {name}" in node.repair_all()
    assert path.read_bytes() == before


def test_a_list_of_an_earlier_release_is_written_as_this_one_does_and_sealed_again(node: FakeNode) -> None:
    listed, marked = node.prefix.environments_file("g00000"), node.prefix.sealed_mark("g00000")
    text = listed.read_text()
    earlier = "".join(line for line in text.splitlines(True) if not line.startswith("platform"))
    assert earlier != text
    listed.write_text(earlier)
    mark = read_mark(marked)
    assert mark is not None
    write_mark(marked, replace(mark, environments=file_sha256(listed)))
    assert node.differences() == []
    listed.write_text("junk")
    node.repair_all()
    assert listed.read_text() == text
    sealed = read_mark(marked)
    assert sealed is not None
    assert sealed.manifests == mark.manifests


@pytest.mark.parametrize("sealed", ["nothing", "one", "all"])
def test_the_list_of_a_part_is_written_again_though_its_pool_has_gone(node: FakeNode, sealed: str) -> None:
    listed, marked = node.prefix.environments_file("g00000"), node.prefix.sealed_mark("g00000")
    mark = read_mark(marked)
    assert mark is not None
    number = {"nothing": 0, "one": 1, "all": len(mark.manifests)}[sealed]
    manifests = dict(sorted(mark.manifests.items())[:number])
    part = replace(mark, format=PART_FORMAT, selection="--pool gone", manifests=manifests)
    write_mark(marked, part)
    assert node.differences() == []
    listed.write_text("junk")
    node.repair_all()
    assert listed.read_text().startswith("monobase-environments 1\n")
    sealed_again = read_mark(marked)
    assert sealed_again is not None
    assert sealed_again.manifests.items() >= manifests.items()
    assert not sealed_again.is_open


def test_a_generation_that_lacks_environments_is_not_sealed_again(node: FakeNode) -> None:
    node.prefix.sealed_mark("g00000").write_text("{")
    shutil.rmtree(node.fake.tree(0))
    node.prefix.environments_file("g00000").unlink()
    result, said = node.repair("g00000")
    assert result.findings == []
    assert "g00000 lacks environments, so it is not sealed; `install` completes it" in said


def test_the_mode_of_a_generation_and_extra_files_are_put_right_and_strange_folders_stay(
    node: FakeNode,
) -> None:
    directory = node.prefix.generation("g00000")
    directory.chmod(0o777)
    (directory / "notes").write_text("")
    (directory / "lost+found").mkdir()
    result, said = node.repair()
    assert [finding.path for finding in result.findings] == ["lost+found"]
    assert "restored monobase/g00000: .\n" in said
    assert "removed monobase/g00000: notes\n" in said
    assert "lost+found" not in said.partition("restored")[2]
