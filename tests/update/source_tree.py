"""A scratch source tree with definitions and locks, and `tools:update` run on it against a local index."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gens.lock import Lock, parse_lock
from tests.index.client import uv_environment
from tests.index.server import LocalIndex
from tests.index.torch_set import publish_torch_set
from tests.index.wheel import Wheel

_TIMEOUT_S = 300
_PLACEHOLDER = "http://index.test"

PLAIN_GENERATION = 0
"""Two Pythons and two Torch releases, all from the default index."""

BUILD_GENERATION = 1
"""One Torch release in its default build, and as `cpu` and `cu118` from PyTorch indexes."""

BOUNDED_GENERATION = 2
"""One Torch release that the Torch table keeps from NumPy 2."""


@dataclass(frozen=True, slots=True)
class SourceTree:
    """Definitions and locks in folders of a test's own.

    Attributes:
        index: The index that serves the tree's resolutions.
        folder: Where the tree, uv's cache and uv's home are.
    """

    index: LocalIndex
    folder: Path

    @property
    def locks(self) -> Path:
        """Folder of the locks and of `gens.sum`."""
        return self.folder / "gens"

    def update(
        self, *arguments: str, cache: str = "cache", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `tools:update` to its end.

        Args:
            arguments: Its arguments, but for the two folders.
            cache: Name of uv's cache: another name is an empty cache.
            variables: Further environment variables.
        """
        return subprocess.run(
            self.command(*arguments),
            env=self.environment(cache) | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
        )

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of `tools:update` for this tree."""
        folders = ["--definitions", str(self.folder / "definitions"), "--locks", str(self.locks)]
        return [sys.executable, "-m", "tools.update", *folders, *arguments]

    def environment(self, cache: str = "cache") -> dict[str, str]:
        """Return the environment variables that make the tree's index the default one of uv."""
        environment = {
            **uv_environment(self.index, self.folder),
            "PYTHONPATH": os.pathsep.join(sys.path),
            "UV_CACHE_DIR": str(self.folder / cache),
        }
        # Few machines set it, and uv reads less of a project with it.
        del environment["UV_NO_CONFIG"]
        return environment

    def files(self) -> dict[str, bytes]:
        """Return the content of each file of the locks' folder, hidden ones included, by its path in it."""
        paths = (path for path in self.locks.rglob("*") if path.is_file())
        return {path.relative_to(self.locks).as_posix(): path.read_bytes() for path in paths}

    def lock(self, target: str, generation_id: int = PLAIN_GENERATION) -> Lock:
        """Return the lock of a target."""
        path = self.lock_path(target, generation_id)
        return parse_lock(path.read_text(), path)

    def lock_path(self, target: str, generation_id: int = PLAIN_GENERATION) -> Path:
        """Return where the lock of a target stands."""
        return self.locks / f"g{generation_id:05d}" / f"{target}.txt"


def make_source_tree(index: LocalIndex, folder: Path, generation_ids: Sequence[int]) -> SourceTree:
    """Make a tree with the definitions of some generations and without a lock.

    Args:
        index: The index that its resolutions use, as the default one and for each build.
        folder: Where to make it.
        generation_ids: Which of the generations in this package's BUILD file.
    """
    (folder / "definitions").mkdir(parents=True)
    (folder / "gens").mkdir()
    for generation_id in generation_ids:
        name = f"g{generation_id:05d}.json"
        definition = Path(__file__).with_name(name).read_text()
        (folder / "definitions" / name).write_text(definition.replace(_PLACEHOLDER, index.origin))
    return SourceTree(index, folder)


def publish(index: LocalIndex) -> dict[str, Wheel]:
    """Publish all that the generations of this package need, and return it by file name."""
    wheels = publish_torch_set(
        index, releases=["2.2.2", "2.3.1", "2.4.1"], pythons=["3.10", "3.11"], builds=["cpu", "cu118"]
    )
    return {wheel.filename: wheel for wheel in wheels}
