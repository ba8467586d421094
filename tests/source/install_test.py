"""Installs from sources: the daemon as a process, with real uv."""

import json
from pathlib import Path

import pytest

from tests.index.server import LocalIndex
from tests.node.node import SITE, Node, make_node
from tests.registry.local_registry import PASSWORD, USER, local_registry
from tests.source.mirror import BASIC, push_blob, web_tree, write_tree
from tests.synthetic.catalog import environment_cell

pytest_plugins = ["tests.index.fixture"]


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    return make_node(local_index, tmp_path)


def test_a_generation_is_installed_from_a_folder_and_the_index_is_not_asked(
    node: Node, tmp_path: Path
) -> None:
    alpha, beta = node.wheel(size_bytes=700_000), node.wheel("beta")
    node.define(environment_cell([alpha, beta]))
    tree = write_tree(tmp_path / "mirror", [alpha, beta])
    node.install("--source", f"file://{tree}")
    assert (node.environment() / SITE / "alpha/data.bin").stat().st_size == 700_000
    assert node.is_sealed()
    assert node.index.log.requests() == ()
    assert node.differences() == []


def test_a_generation_is_installed_from_a_registry_that_requires_a_login(node: Node, tmp_path: Path) -> None:
    alpha, beta = node.wheel(size_bytes=700_000), node.wheel("beta")
    node.define(environment_cell([alpha, beta]))
    (tmp_path / "docker").mkdir()
    with local_registry(
        tmp_path / "registry", htpasswd=True, authorization={"Authorization": BASIC}
    ) as registry:
        for wheel in (alpha, beta):
            push_blob(registry, "team/wheels", wheel.path.read_bytes())
        login = {"auths": {registry.host: {"username": USER, "password": PASSWORD}}}
        (tmp_path / "docker/config.json").write_text(json.dumps(login))
        said = node.install(
            "--source", f"oci://{registry.host}/team/wheels",
            variables={"DOCKER_CONFIG": str(tmp_path / "docker")},
        )  # fmt: skip
    assert node.is_sealed()
    assert node.index.log.requests() == ()
    assert PASSWORD not in said


def test_a_generation_is_installed_from_a_web_server(node: Node, tmp_path: Path) -> None:
    alpha = node.wheel(size_bytes=700_000)
    node.define(environment_cell([alpha]))
    with web_tree(write_tree(tmp_path / "mirror", [alpha])) as tree:
        node.install("--source", tree.url)
        assert tree.sent_bytes == alpha.size_bytes
    assert node.is_sealed()
