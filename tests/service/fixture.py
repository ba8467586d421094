"""A pytest plugin: a node for each test."""

from pathlib import Path

import pytest

from tests.index.server import LocalIndex
from tests.service.node import Node

pytest_plugins = ["tests.index.fixture"]


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    """A node with an empty index, no definition and no prefix."""
    return Node(local_index, tmp_path)
