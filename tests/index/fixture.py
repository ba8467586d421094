"""A pytest plugin: an index for each test.

A test module gets it with ``pytest_plugins = ["tests.index.fixture"]``; ``tests.index.client`` is what calls
uv and pip against it.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.index.server import LocalIndex


@pytest.fixture
def local_index(tmp_path: Path) -> Iterator[LocalIndex]:
    """An empty index on a free port, stopped when the test ends."""
    with LocalIndex(tmp_path / "index") as index:
        yield index
