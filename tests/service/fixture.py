"""A pytest plugin: a node for each test."""

from pathlib import Path

import pytest

from tests.index.server import LocalIndex
from tests.node.node import Node, make_node

pytest_plugins = ["tests.index.fixture"]


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    """A node with an empty index, no definition and no prefix."""
    return make_node(local_index, tmp_path, variables={"UV_HTTP_RETRIES": "1"}, python_downloads=True)
