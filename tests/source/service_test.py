"""The service with sources: what is missing names them, and what they did is counted."""

from pathlib import Path

import pytest

from tests.index.server import LocalIndex
from tests.node.node import Node, make_node
from tests.source.mirror import web_tree, write_tree
from tests.synthetic.catalog import environment_cell

pytest_plugins = ["tests.index.fixture"]


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    return make_node(local_index, tmp_path)


def test_readiness_names_the_source_that_lacks_a_wheel_until_it_has_it(node: Node, tmp_path: Path) -> None:
    alpha = node.wheel()
    node.define(environment_cell([alpha]))
    root = write_tree(tmp_path / "mirror", [])
    root.mkdir()
    with web_tree(root) as tree, node.daemon("--source", tree.url) as daemon:
        reason = f"{alpha.filename}: no source sends it: {tree.url}: answers 404"
        daemon.wait_until(lambda: reason in daemon.get("/readyz")[1])
        assert daemon.metric('monobase_failures_total{kind="source"}') >= 1
        label = f'{{reason="absent",source="{tree.url}"}}'
        assert daemon.metric(f"monobase_source_failures_total{label}") >= 1
        write_tree(root, [alpha])
        daemon.wait_ready()
        received = f'monobase_source_received_bytes_total{{source="{tree.url}"}}'
        assert daemon.metric(received) == alpha.size_bytes
        status = f"received since the daemon started: {alpha.size_bytes} bytes of {tree.url} (failures: "
        daemon.wait_until(lambda: status in node.run("status").stdout)
        daemon.end()
    assert node.index.log.requests() == ()
