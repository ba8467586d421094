"""A pytest plugin: a registry and somebody who pushes to it, for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registry.local_registry import LocalRegistry, local_registry
from tests.registry.push_process import Pusher


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[LocalRegistry]:
    """An empty registry without TLS or users."""
    with local_registry(tmp_path / "registry") as running:
        yield running


@pytest.fixture
def pusher(tmp_path: Path) -> Pusher:
    """Somebody with an empty home."""
    home = tmp_path / "home"
    home.mkdir()
    return Pusher(home, {})
