"""A pytest plugin: a desk for each test."""

from pathlib import Path

import pytest

from tests.index.server import LocalIndex
from tests.mirror.desk import Desk, make_desk


@pytest.fixture
def desk(local_index: LocalIndex, tmp_path: Path) -> Desk:
    """A desk with an index of its own."""
    return make_desk(local_index, tmp_path)
