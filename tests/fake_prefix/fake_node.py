"""A fake prefix that is repaired without uv: what an index would send comes from a copy of uv's cache."""

import io
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from daemon.errors import NotOnIndexError
from daemon.install.options import InstallOptions
from daemon.install.wanted import WheelToFetch
from daemon.prefix.inventory import inventory_path
from daemon.report.progress import LogFormat, Reporter, Stage
from daemon.upkeep import repair_source
from daemon.upkeep.repair import RepairResult, repair
from daemon.upkeep.repair_source import RepairSource
from daemon.upkeep.verify import verify
from gens.errors import MonobaseError
from tests.fake_prefix.fake_prefix import CACHE_TAG, SITE_PACKAGES, FakePrefix

CUDNN = "cudnn-9.1.0.70-cuda12"
ALPHA = f"{SITE_PACKAGES}/alpha"
BYTECODE = f"{ALPHA}/__pycache__/__init__.{CACHE_TAG}.pyc"
LIBRARY = "lib/libcudnn.so.9"


class FakeNode:
    """A fake prefix with two sealed generations of the same wheels, and an index that has them.

    Attributes:
        fake: The fake prefix.
        lost: Names of packages that the index has no more.
        fetched: Names of packages that were downloaded.
    """

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fake = FakePrefix(directory)
        for number in range(2):
            self.fake.install(number)
        self.prefix = self.fake.prefix
        self.lost: set[str] = set()
        self.fetched: list[str] = []
        self.inventories = {
            path.name.partition(".")[0]: path.read_bytes() for path in self.prefix.wheels.glob("*.files.gz")
        }
        self._pristine = directory / "pristine"
        shutil.copytree(self.prefix.uv_cache, self._pristine, symlinks=True)
        monkeypatch.setattr(repair_source, "Fetcher", lambda *_, **__: self)
        rebuild = RepairSource.rebuild

        def fake_rebuild(source: RepairSource, label: str) -> Path:
            wanted = source.locks.wanted(label)
            if label.startswith("cuda/"):
                return rebuild(source, label)
            return self.fake.stage(wanted.generation.id, wanted.target.name)

        monkeypatch.setattr(RepairSource, "rebuild", fake_rebuild)

    def fetch(self, items: Sequence[WheelToFetch], stage: Stage) -> dict[str, MonobaseError]:
        """Do what the fetcher does."""
        failures: dict[str, MonobaseError] = {}
        for item in items:
            name, sha256 = item.wheel.name, item.wheel.sha256
            stage.advance(item.wheel.size_bytes)
            if name in self.lost:
                failures[sha256] = NotOnIndexError(f"{item.wheel.filename}: is not on the index")
                continue
            self.fetched.append(name)
            self._unpack()
            path = inventory_path(self.prefix, sha256)
            if not path.exists():
                path.write_bytes(self.inventories[sha256])
        return failures

    def _unpack(self) -> None:
        """Bring into the cache whatever it lacks, each file as a new inode."""
        for path in sorted(self._pristine.rglob("*")):
            place = self.prefix.uv_cache / path.relative_to(self._pristine)
            if os.path.lexists(place):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.copytree(path, place, symlinks=True)
            else:
                shutil.copy2(path, place, follow_symlinks=False)

    def repair(
        self, *names: str, stores: bool = True, log_format: LogFormat = "text"
    ) -> tuple[RepairResult, str]:
        """Repair, and return the result with what was reported."""
        said = io.StringIO()
        result = repair(
            self.prefix, self.fake.catalog, Path("/bin/false"), list(names) or ["g00000", "g00001"],
            InstallOptions(downloads=False, lock_timeout_s=0), Reporter(said, log_format), stores=stores,
        )  # fmt: skip
        if self.prefix.staging.exists():
            raise AssertionError("the staging folder outlived the repair")
        return result, said.getvalue()

    def differences(self) -> list[str]:
        """Verify everything."""
        names = self.prefix.installed_generations()
        return [str(finding) for finding in verify(self.prefix, names, 1, stores=True).findings]

    def file(self, path: str, number: int = 0) -> Path:
        """Return a file of an environment."""
        return self.fake.tree(number) / path

    def repair_all(self) -> str:
        """Repair, make sure that something was damaged and nothing is left, and return what was reported."""
        if not self.differences():
            raise AssertionError("nothing is damaged")
        result, said = self.repair()
        left = [*map(str, result.findings), *map(str, result.failures.values()), *self.differences()]
        if left:
            raise AssertionError(f"{left} is left:\n{said}")
        return said

    def remove_cache(self) -> None:
        """Lose all that uv's cache has."""
        shutil.rmtree(self.prefix.uv_cache)
        self.prefix.uv_cache.mkdir()
