"""pytest fixtures of what looks into the images."""

from collections.abc import Iterator

import pytest

from image.oci.layout import Layout
from tests.images.engine import Engine, engine
from tests.images.layouts import daemon_layout, runtime_layout


@pytest.fixture(scope="session")
def podman() -> Iterator[Engine]:
    """Yield a podman with storage of its own."""
    with engine() as found:
        yield found


@pytest.fixture(scope="session")
def layouts() -> dict[str, Layout]:
    """Return the images that Bazel made, by name."""
    return {"daemon": daemon_layout(), "runtime": runtime_layout()}


@pytest.fixture(scope="session")
def images(podman: Engine, layouts: dict[str, Layout]) -> dict[str, str]:
    """Return the images as podman knows them, by name."""
    return {name: podman.pull(f"oci:{layout.directory}") for name, layout in layouts.items()}
