"""Finds the images that Bazel built."""

import os
from pathlib import Path

from image.oci.layout import Layout, read_layout


def daemon_layout() -> Layout:
    """Return the daemon's image."""
    return read_layout(Path(os.environ["MONOBASE_DAEMON_IMAGE"]).absolute())


def runtime_layout() -> Layout:
    """Return the runtime's image."""
    return read_layout(Path(os.environ["MONOBASE_RUNTIME_IMAGE"]).absolute())


def builder_layout() -> Layout:
    """Return the builder's image."""
    return read_layout(Path(os.environ["MONOBASE_BUILDER_IMAGE"]).absolute())
