"""Interpreters from sources: uv installs them from what it takes for its mirror."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.index.interpreter_archive import archive_entry, write_interpreter
from tests.index.server import LocalIndex
from tests.node.node import Node, make_node
from tests.registry.local_registry import local_registry
from tests.source.mirror import (
    add_interpreter,
    push_blob,
    push_interpreter,
    running_interpreter,
    web_tree,
    write_tree,
)
from tests.synthetic.catalog import PYTHON_FULL, environment_cell

pytest_plugins = ["tests.index.fixture"]

_RELEASES = "https://github.com/astral-sh/python-build-standalone/releases/download"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("interpreter") / "archive"
    write_interpreter(path, small=True)
    return path


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path, archive: Path) -> Node:
    """Make a node whose uv knows one interpreter, at the address where uv has all of its own."""
    config = running_interpreter(archive)
    url = f"{_RELEASES}/{config.path.replace('+', '%2B')}"
    key, entry = archive_entry(PYTHON_FULL, url, config.sha256)
    (tmp_path / "downloads.json").write_text(json.dumps({key: entry}))
    variables = {"UV_PYTHON_DOWNLOADS_JSON_URL": str(tmp_path / "downloads.json")}
    return make_node(local_index, tmp_path, variables=variables, python_downloads=True)


def _is_managed(node: Node) -> bool:
    return (node.environment() / "bin/python").resolve().is_relative_to(node.prefix.uv_python)


def test_an_interpreter_comes_from_a_folder(node: Node, tmp_path: Path, archive: Path) -> None:
    alpha = node.wheel()
    node.define(environment_cell([alpha]))
    tree = write_tree(tmp_path / "mirror", [alpha])
    add_interpreter(tree, running_interpreter(archive), archive.read_bytes())
    node.install("--source", f"file://{tree}")
    assert _is_managed(node)
    assert node.is_sealed()


def test_an_interpreter_comes_from_a_registry(node: Node, tmp_path: Path, archive: Path) -> None:
    alpha = node.wheel()
    node.define(environment_cell([alpha]))
    with local_registry(tmp_path / "registry") as registry:
        push_blob(registry, "w", alpha.path.read_bytes())
        push_interpreter(registry, "w", running_interpreter(archive), archive.read_bytes())
        node.install("--source", f"oci://{registry.host}/w")
    assert _is_managed(node)


@pytest.mark.parametrize("wrong_byte", [-1, 20, 1_000_000], ids=["last", "early", "middle"])
def test_a_wrong_interpreter_is_healed_from_the_next_source(
    node: Node, tmp_path: Path, archive: Path, wrong_byte: int
) -> None:
    alpha = node.wheel()
    node.define(environment_cell([alpha]))
    tree = write_tree(tmp_path / "mirror", [alpha])
    add_interpreter(tree, running_interpreter(archive), archive.read_bytes())
    with web_tree(tree) as bad, web_tree(tree) as good:
        bad.wrong.add(f"/interpreters/{running_interpreter(archive).path}")
        bad.wrong_byte = wrong_byte
        said = node.install("--source", bad.url, "--source", good.url)
    assert f"{bad.url}: {running_interpreter(archive).filename}: sent another file" in said
    assert _is_managed(node)


def test_an_interpreter_that_no_source_has_is_named_and_the_systems_is_used(
    node: Node, tmp_path: Path, archive: Path
) -> None:
    alpha = node.wheel()
    node.define(environment_cell([alpha]))
    tree = write_tree(tmp_path / "mirror", [alpha])
    other = replace(running_interpreter(archive), path="20261101/other.tar.gz")
    add_interpreter(tree, other, archive.read_bytes())
    said = node.install("--source", f"file://{tree}")
    path = running_interpreter(archive).path
    assert f"{path}: no source sends it: file://{tree}: does not list the interpreter" in said
    assert "the system's" in said
    assert node.is_sealed()
