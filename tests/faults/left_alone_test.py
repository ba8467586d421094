"""Tests that a failing generation or environment does not affect the others."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.mount import private_mounts, read_only
from tests.index.server import LocalIndex
from tests.node.node import PLAIN, Node, make_node
from tests.synthetic.catalog import environment_cell

pytest_plugins = ["tests.index.fixture"]

_TORCH = f"{PLAIN}-torch2.4.1-cpu"


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    """A node with three generations of two environments each, of which it has none."""
    node = make_node(local_index, tmp_path)
    alpha = node.wheel()
    for number in range(3):
        own = node.wheel("own", f"{number}.0")
        node.define(environment_cell([alpha]), environment_cell([alpha, own], "2.4.1"), generation=number)
    return node


def _lock_malformed(node: Node) -> str:
    path = node.gens / "g00001" / f"{_TORCH}.txt"
    path.write_text("nonsense\n")
    return str(path)


def _locks_gone(node: Node) -> str:
    shutil.rmtree(node.gens / "g00001")
    return "there is no lock"


def _definition_malformed(node: Node) -> str:
    path = node.gens / "g00001.json"
    path.write_text("{")
    return str(path)


def _mark_of_another_definition(node: Node) -> str:
    content = {"generation": 1, "definition": "sha256:0", "manifests": {}, "environments": "0" * 64}
    _mark(node).write_text(json.dumps(content))
    return "another definition"


def _mark_of_a_newer_release(node: Node) -> str:
    _mark(node).write_text(json.dumps({"format": 9, "seals": []}))
    return "newer monobase"


def _mark_damaged(node: Node) -> str:
    _mark(node).write_bytes(b"\x00" * 40)
    return str(_mark(node))


def _mark_no_file(node: Node) -> str:
    _mark(node).mkdir()
    return str(_mark(node))


def _file_in_place_of_the_folder(node: Node) -> str:
    path = node.prefix.generation("g00001")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    return str(path)


def _tree_without_a_manifest(node: Node) -> str:
    path = node.prefix.generation("g00001") / _TORCH / "stray"
    path.mkdir(parents=True)
    return _TORCH


def _list_is_a_folder(node: Node) -> str:
    path = node.prefix.environments_file("g00001")
    path.mkdir(parents=True)
    return str(path)


def _mark(node: Node) -> Path:
    mark = node.prefix.sealed_mark("g00001")
    mark.parent.mkdir(parents=True, exist_ok=True)
    return mark


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (_lock_malformed, 3),
        (_locks_gone, 3),
        (_definition_malformed, 3),
        (_mark_of_another_definition, 1),
        (_mark_of_a_newer_release, 3),
        (_mark_damaged, 1),
        (_mark_no_file, 1),
        (_file_in_place_of_the_folder, 1),
        (_tree_without_a_manifest, 1),
        (_list_is_a_folder, 1),
    ],
)
def test_a_generation_that_cannot_be_had_leaves_the_others_alone(
    node: Node, harm: Callable[[Node], str], code: int
) -> None:
    told = harm(node)
    said = node.install(code=code)
    assert "Traceback" not in said
    assert told in said
    assert [name for name in ("g00000", "g00001", "g00002") if node.is_sealed(name)] in (
        ["g00000", "g00002"],
        ["g00000", "g00001", "g00002"],  # a mark that stands there and says nothing sound
    )
    assert node.prefix.latest.readlink() == Path("g00002")
    assert not node.prefix.staging.exists()
    if harm is _lock_malformed:
        assert node.environment(generation="g00001").exists()
        assert not node.environment(_TORCH, "g00001").exists()


def test_latest_names_the_newest_that_is_sound(node: Node) -> None:
    node.install("--min-gen-id", "1", "--max-gen-id", "1")
    assert node.prefix.latest.readlink() == Path("g00001")
    node.prefix.sealed_mark("g00001").write_bytes(b"{")
    node.install("--max-gen-id", "1", code=1)
    assert node.prefix.latest.readlink() == Path("g00000")
    node.install("--max-gen-id", "0")


def test_a_folder_in_place_of_latest_leaves_the_generations_to_be_sealed(node: Node) -> None:
    node.prefix.latest.mkdir(parents=True)
    assert str(node.prefix.latest) in node.install(code=1)
    assert all(node.is_sealed(name) for name in ("g00000", "g00001", "g00002"))
    node.prefix.latest.rmdir()
    node.install()
    assert node.prefix.latest.readlink() == Path("g00002")


def test_a_generation_that_cannot_be_written_leaves_the_others_alone(node: Node) -> None:
    private_mounts()
    folder = node.prefix.generation("g00001")
    folder.mkdir(parents=True)
    with read_only(folder):
        said = node.install(code=1)
    assert str(folder) in said
    assert [node.is_sealed(name) for name in ("g00000", "g00001", "g00002")] == [True, False, True]
    node.install()
    assert node.is_sealed("g00001")


def test_a_python_that_is_nowhere_leaves_what_stands_there_to_be_sealed(node: Node) -> None:
    node.install("--max-gen-id", "0")
    node.prefix.sealed_mark("g00000").unlink()
    node.define(environment_cell([node.wheel("beta")], python="3.99.1"), generation=3)
    for number in (1, 2):
        (node.gens / f"g{number:05d}.json").unlink()
    said = node.install(code=8)
    assert "3.99" in said
    assert node.is_sealed()


@pytest.mark.parametrize("arguments", [["--only", "nothing*"], ["--min-gen-id", "7"]])
def test_what_means_nothing_is_refused(node: Node, arguments: list[str]) -> None:
    node.install(*arguments, code=3)
    assert not node.prefix.installed_generations()


def test_only_a_broken_definition_in_the_range_is_told(node: Node) -> None:
    path = node.gens / "g00001.json"
    path.write_text("{")
    assert str(path) in node.install("--min-gen-id", "1", "--max-gen-id", "1", code=3)
