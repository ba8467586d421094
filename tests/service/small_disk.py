"""A small file system for the prefix of a node."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.node.node import Node


@contextmanager
def small_disk(node: Node, size: str) -> Iterator[Path]:
    """Mount a file system of a size such as `12m` on a node's prefix; skip the test where that fails."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or mount is None or umount is None:
        pytest.skip("mounting a small file system needs root")
    small = node.root
    small.mkdir()
    mounted = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", small], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this machine lets nobody mount")
    try:
        yield small
    finally:
        subprocess.run([umount, "-l", small], check=True)
