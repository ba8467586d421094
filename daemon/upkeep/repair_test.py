"""Repairs of fake prefixes; no uv runs, and what an index would send comes from a copy of uv's cache."""

import errno
import gzip
import io
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from daemon.errors import DamageError, DiskError, NotOnIndexError
from daemon.install.pipeline import InstallOptions
from daemon.install.plan import WheelToFetch
from daemon.prefix.inventory import inventory_path
from daemon.report.progress import LogFormat, Reporter, Stage
from daemon.upkeep import repair_source
from daemon.upkeep.repair import RepairResult, repair
from daemon.upkeep.repair_source import RepairSource
from daemon.upkeep.tree_repair import TreeRepair
from daemon.upkeep.verify import verify
from gens.errors import MonobaseError
from tests.fake_prefix.fake_prefix import CACHE_TAG, INTERPRETER, SITE_PACKAGES, FakePrefix
from tests.faults.harm import harm
from tests.synthetic.catalog import PYTHON, environment_cell

_CUDNN = "cudnn-9.1.0.70-cuda12"
_ALPHA = f"{SITE_PACKAGES}/alpha"
_BYTECODE = f"{_ALPHA}/__pycache__/__init__.{CACHE_TAG}.pyc"
_LIBRARY = "lib/libcudnn.so.9"


class _Node:
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
        monkeypatch.setattr(repair_source, "Fetcher", lambda *_: self)
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
        assert not self.prefix.staging.exists()
        return result, said.getvalue()

    def differences(self) -> list[str]:
        """Verify everything."""
        names = self.prefix.installed_generations()
        return [str(finding) for finding in verify(self.prefix, names, 1, stores=True).findings]

    def file(self, path: str, number: int = 0) -> Path:
        """Return a file of an environment."""
        return self.fake.tree(number) / path

    def repair_all(self) -> str:
        """Repair, and make sure that nothing is left."""
        assert self.differences() != []
        result, said = self.repair()
        assert ([str(finding) for finding in result.findings], result.failures) == ([], {}), said
        assert self.differences() == []
        return said

    def remove_cache(self) -> None:
        """Lose all that uv's cache has."""
        shutil.rmtree(self.prefix.uv_cache)
        self.prefix.uv_cache.mkdir()


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Node:
    return _Node(tmp_path, monkeypatch)


def test_nothing_is_done_and_said_where_nothing_is_damaged(node: _Node) -> None:
    result, said = node.repair()
    assert (result.findings, result.failures, said) == ([], {}, "")
    assert (result.trees, result.interpreters) == (3, 1)


# --- single files ---


@pytest.mark.parametrize("way", ["gone", "mode", "extra", "link", "folder"])
@pytest.mark.parametrize("path", [f"{_ALPHA}/data", _BYTECODE, "pyvenv.cfg"])
def test_a_file_whose_content_the_prefix_has_comes_back_without_a_download(
    node: _Node, path: str, way: str
) -> None:
    harm(node.file(path), way)
    node.lost = {"alpha"}
    said = node.repair_all()
    assert ("removed" if way == "extra" else "restored") in said
    assert node.fetched == []
    shared = path != "pyvenv.cfg"  # which names its own folder in a real environment
    assert not shared or node.file(path).samefile(node.file(path, 1))


@pytest.mark.parametrize("way", ["bytes", "cut", "grown"])
def test_an_inode_that_was_written_to_is_replaced_in_each_generation_by_one_download(
    node: _Node, way: str
) -> None:
    content = node.file(f"{_ALPHA}/data").read_bytes()
    harm(node.file(f"{_ALPHA}/data"), way)
    said = node.repair_all()
    assert node.fetched == ["alpha"]
    assert node.file(f"{_ALPHA}/data").read_bytes() == content
    assert node.file(f"{_ALPHA}/data").samefile(node.file(f"{_ALPHA}/data", 1))
    assert f"restored monobase/g00000/{node.fake.environment}: {_ALPHA}/data" in said


def test_bytecode_that_was_written_to_is_compiled_again(node: _Node) -> None:
    content = node.file(_BYTECODE).read_bytes()
    harm(node.file(_BYTECODE), "bytes")
    node.repair_all()
    assert node.fetched == []
    assert node.file(_BYTECODE).read_bytes() == content


def test_a_file_that_uv_wrote_comes_from_a_rebuilt_environment(node: _Node) -> None:
    record = next(node.fake.tree(0).rglob("RECORD"))
    harm(record, "cut")
    node.repair_all()
    assert node.fetched == []


def test_a_file_of_a_toolkit_comes_from_the_cache_or_else_from_the_index(node: _Node) -> None:
    library = node.prefix.toolkits / _CUDNN / _LIBRARY
    harm(library, "gone")
    node.repair_all()
    assert node.fetched == []
    harm(library, "bytes")
    node.repair_all()
    assert node.fetched == ["nvidia-cudnn-cu12"]


def test_links_and_folders_of_a_tree_are_restored(node: _Node) -> None:
    program = node.file("bin/python")
    target = program.readlink()
    program.unlink()
    program.write_text("#!/bin/sh\n")
    node.file(_ALPHA).chmod(0o700)
    node.fake.tree(0).chmod(0o777)
    shutil.rmtree(node.file("lib", 1))
    node.file("lib", 1).write_text("a file")
    node.repair_all()
    assert program.readlink() == target


def test_a_wheel_that_no_lock_names_leaves_its_file_damaged_and_restores_the_others(node: _Node) -> None:
    harm(node.file(f"{_ALPHA}/data"), "bytes")
    harm(node.file("pyvenv.cfg"), "gone")
    node.remove_cache()
    shutil.rmtree(node.fake.directory / "gens")
    node.fake.define(7)
    for path in (node.fake.directory / "gens" / "g00007").iterdir():
        path.unlink()
    result, said = node.repair()
    trees = {f"monobase/{name}/{node.fake.environment}" for name in ("g00000", "g00001")}
    assert {finding.tree for finding in result.findings} == set(result.failures) == trees
    assert all("no lock names the wheel sha256:" in str(error) for error in result.failures.values())
    assert f"{_ALPHA}/data" in str(result.findings[0])
    assert "could not be restored: " in said


def test_a_wheel_that_failed_is_requested_once_and_keeps_no_other_tree_damaged(node: _Node) -> None:
    harm(node.file(f"{_ALPHA}/data"), "bytes")
    harm(node.prefix.toolkits / _CUDNN / "include" / "cudnn.h", "gone")
    node.lost = {"alpha"}
    result, said = node.repair()
    assert {finding.tree.partition("/")[0] for finding in result.findings} == {"monobase"}
    assert all("is not on the index" in str(error) for error in result.failures.values())
    assert said.count("fetch ") == 1
    node.lost.clear()
    node.repair_all()


# --- records ---


def test_an_inventory_is_taken_again_from_the_cache(node: _Node) -> None:
    for path in node.prefix.wheels.glob("*.files.gz"):
        path.write_bytes(b"junk")
    said = node.repair_all()
    assert node.fetched == []
    assert "(inventory " in said


@pytest.mark.parametrize("cache", ["damaged", "gone"])
def test_an_inventory_comes_with_the_wheel_when_the_cache_has_another(node: _Node, cache: str) -> None:
    (path,) = (inventory_path(node.prefix, item) for item in node.inventories if _is_alpha(node, item))
    path.unlink()
    if cache == "gone":
        node.remove_cache()
    else:
        (next(node.prefix.uv_cache.rglob("alpha/data")).parent / "stray").write_text("")
    node.repair_all()
    assert node.fetched == ["alpha"]


def _is_alpha(node: _Node, sha256: str) -> bool:
    return b"alpha/data" in gzip.decompress(node.inventories[sha256])


def test_an_inventory_that_is_another_one_after_the_download_is_a_failure(node: _Node) -> None:
    alpha = next(sha256 for sha256 in node.inventories if _is_alpha(node, sha256))
    inventory_path(node.prefix, alpha).unlink()
    node.remove_cache()
    node.inventories[alpha] = gzip.compress(gzip.decompress(node.inventories[alpha]) + b"more\n")
    result, _ = node.repair(stores=False)
    assert "it is not the one that monobase/g0000" in str(next(iter(result.failures.values())))


def _list(node: _Node) -> Path:
    return next(
        path for path in node.prefix.wheels.glob("*.pyc.gz") if b"alpha" in gzip.decompress(path.read_bytes())
    )


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"junk")])
def test_a_list_of_bytecode_is_made_from_the_bytecode_of_the_tree(
    node: _Node, damage: Callable[[Path], None]
) -> None:
    damage(_list(node))
    assert "(list of bytecode " in node.repair_all()


def test_a_list_of_bytecode_is_made_from_recompiled_sources_when_the_bytecode_is_damaged_too(
    node: _Node,
) -> None:
    path = _list(node)
    path.unlink()
    path.mkdir()
    harm(node.file(_BYTECODE), "cut")
    node.file(f"{_ALPHA}/__init__.py").unlink()
    node.repair_all()


def test_bytecode_that_another_interpreter_would_make_is_not_taken(node: _Node) -> None:
    _list(node).unlink()
    harm(node.file(_BYTECODE), "cut")
    program = next(node.fake.interpreter.glob(f"bin/python{PYTHON}"))
    program.write_text('#!/bin/sh\necho \'{"version": "3.1.4", "tag": "cpython-31", "path": "/"}\'\n')
    result, _ = node.repair("g00000", stores=False)
    assert "is cpython-31-3.1.4, and the bytecode is of cpython-" in str(
        result.failures[f"monobase/g00000/{node.fake.environment}"]
    )


# --- trees as a whole ---


def _junk(path: Path) -> None:
    (path / ".manifest").write_bytes(b"junk")


def _to_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("")


def _to_link(path: Path) -> None:
    shutil.rmtree(path)
    path.symlink_to("/etc")


@pytest.mark.parametrize("damage", [_junk, shutil.rmtree, _to_file, _to_link])
def test_an_environment_without_its_manifest_is_rebuilt(node: _Node, damage: Callable[[Path], None]) -> None:
    tree = node.fake.tree(0)
    (tree / "extra").write_text("")
    kept = (tree / f"{_ALPHA}/data").stat().st_ino
    damage(tree)
    node.repair_all()
    assert (tree / f"{_ALPHA}/data").stat().st_ino == kept


@pytest.mark.parametrize("damage", [_junk, shutil.rmtree])
def test_a_toolkit_without_its_manifest_is_rebuilt(node: _Node, damage: Callable[[Path], None]) -> None:
    damage(node.prefix.toolkits / _CUDNN)
    node.repair_all()
    assert (node.prefix.toolkits / _CUDNN / "lib" / "libcudnn.so").readlink() == Path("libcudnn.so.9")


def test_a_damaged_toolkit_that_nothing_uses_is_removed(node: _Node) -> None:
    for name in ("g00000", "g00001"):
        shutil.rmtree(node.prefix.generation(name))
    node.prefix.latest.unlink()
    harm(node.prefix.toolkits / _CUDNN / _LIBRARY, "gone")
    assert f"removed cuda/{_CUDNN}: no generation uses it" in node.repair_all()
    assert not (node.prefix.toolkits / _CUDNN).exists()


def test_a_tree_that_no_definition_names_stays_damaged_and_its_mark_waits_for_it(node: _Node) -> None:
    _junk(node.fake.tree(0))
    node.prefix.environments_file("g00000").write_text("junk")
    (node.fake.directory / "gens" / "g00000.json").unlink()
    result, _ = node.repair()
    tree = f"monobase/g00000/{node.fake.environment}"
    assert list(result.failures) == [tree, "monobase/g00000"]
    assert "there is no generation 0" in str(result.failures[tree])
    assert str(result.failures["monobase/g00000"]) == f"waits for what could not be restored: {tree}"


# --- the folder of a generation ---


@pytest.mark.parametrize(
    ("to", "mark"),
    [
        ("gone", "sound"),
        ("elsewhere", "sound"),
        ("folder", "sound"),
        ("elsewhere", "damaged"),
        ("folder", "damaged"),
    ],
)  # fmt: skip
def test_the_link_of_a_toolkit_is_restored(node: _Node, to: str, mark: str) -> None:
    link = node.prefix.generation("g00000") / node.fake.toolkit
    link.unlink()
    if to == "elsewhere":
        link.symlink_to("/etc")
    elif to == "folder":
        link.mkdir()
    if mark == "damaged":
        node.prefix.sealed_mark("g00000").write_text("{")
    node.repair_all()
    assert link.readlink() == Path(f"../../cuda/{_CUDNN}")


def test_a_link_and_its_toolkit_are_both_restored(node: _Node) -> None:
    (node.prefix.generation("g00000") / node.fake.toolkit).unlink()
    shutil.rmtree(node.prefix.toolkits / _CUDNN)
    node.repair_all()


@pytest.mark.parametrize("name", [".done", "environments"])
@pytest.mark.parametrize(
    "damage", [lambda path: path.write_text("junk"), lambda path: (path.unlink(), path.mkdir())]
)
def test_the_mark_and_the_list_of_a_generation_are_written_again(
    node: _Node, name: str, damage: Callable[[Path], object]
) -> None:
    path = node.prefix.generation("g00000") / name
    before = path.read_bytes()
    damage(path)
    assert f"restored monobase/g00000: {name}" in node.repair_all()
    assert path.read_bytes() == before


def test_a_generation_that_lacks_environments_is_not_sealed_again(node: _Node) -> None:
    node.prefix.sealed_mark("g00000").write_text("{")
    shutil.rmtree(node.fake.tree(0))
    node.prefix.environments_file("g00000").unlink()
    result, said = node.repair("g00000")
    assert result.findings == []
    assert "g00000 lacks environments, so it is not sealed; `install` completes it" in said


def test_the_mode_of_a_generation_and_extra_files_are_put_right_and_strange_folders_stay(node: _Node) -> None:
    directory = node.prefix.generation("g00000")
    directory.chmod(0o777)
    (directory / "notes").write_text("")
    (directory / "lost+found").mkdir()
    result, said = node.repair()
    assert [finding.path for finding in result.findings] == ["lost+found"]
    assert "restored monobase/g00000: .\n" in said
    assert "removed monobase/g00000: notes\n" in said
    assert "lost+found" not in said.partition("restored")[2]


# --- stores ---


def test_extra_and_unreadable_entries_of_the_stores_are_removed_and_folders_stay(node: _Node) -> None:
    stray = [node.prefix.files / "stray", node.prefix.wheels / "stray", node.prefix.bytecode / "stray"]
    for path in stray:
        path.write_text("")
    entry = next(path for path in sorted(node.prefix.files.rglob("*")) if len(path.name) == 64)
    entry.unlink()
    entry.mkdir()
    (node.prefix.toolkits / "lost+found").mkdir()
    (node.prefix.generations / "notes").write_text("")
    result, _ = node.repair()
    assert {f"{finding.tree}/{finding.path}" for finding in result.findings} == {
        "cuda/lost+found", "monobase/notes",
    }  # fmt: skip
    assert not any(os.path.lexists(path) for path in (*stray, entry))


# --- interpreters ---


def test_what_is_extra_in_an_interpreter_is_removed(node: _Node) -> None:
    (node.fake.interpreter / "bin" / "extra").write_text("")
    assert f"removed uv/python/{INTERPRETER}: bin/extra" in node.repair_all()


def test_an_interpreter_that_cannot_be_downloaded_keeps_nothing_else_damaged(node: _Node) -> None:
    harm(next(node.fake.interpreter.rglob("os.py")), "cut")
    harm(node.file(f"{_ALPHA}/data"), "gone")
    result, _ = node.repair()
    assert {finding.tree for finding in result.findings} == {f"uv/python/{INTERPRETER}"}
    assert "cannot be downloaded: downloads are switched off" in str(
        result.failures[f"uv/python/{INTERPRETER}"]
    )


# --- what a newer release has written ---


def _newer_mark(node: _Node) -> None:
    node.fake.make_newer(0)


def _newer_tree(node: _Node) -> None:
    node.fake.make_tree_newer(node.fake.tree(0))


@pytest.mark.parametrize("make_newer", [_newer_mark, _newer_tree])
def test_what_a_newer_release_has_written_is_left_alone(
    node: _Node, make_newer: Callable[[_Node], None]
) -> None:
    make_newer(node)
    before = {path: path.read_bytes() for path in (node.prefix.sealed_mark("g00000"), node.file(".manifest"))}
    node.file(f"{_ALPHA}/data").unlink()
    harm(node.file("pyvenv.cfg", 1), "gone")
    result, _ = node.repair()
    assert {finding.kind for finding in result.findings} - {"missing"} == {"newer"}
    assert all("g00000" in str(finding) for finding in result.findings)
    assert all(path.read_bytes() == content for path, content in before.items())
    assert not node.file(f"{_ALPHA}/data").exists()


# --- failures, and how all of it is reported ---


def _fail_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object) -> None:
        raise error

    monkeypatch.setattr(TreeRepair, "run", run)


def test_a_refusal_of_the_file_system_fails_one_tree(node: _Node, monkeypatch: pytest.MonkeyPatch) -> None:
    harm(node.file(f"{_ALPHA}/data"), "gone")
    _fail_with(OSError(errno.ENOTTY, "Inappropriate ioctl for device", "/some/file"), monkeypatch)
    result, _ = node.repair()
    (error,) = result.failures.values()
    assert isinstance(error, DamageError)
    assert str(error) == "/some/file: Inappropriate ioctl for device; look at it, and try again"


def test_a_full_disk_ends_the_repair(node: _Node, monkeypatch: pytest.MonkeyPatch) -> None:
    harm(node.file(f"{_ALPHA}/data"), "gone")
    _fail_with(OSError(errno.ENOSPC, "No space left on device"), monkeypatch)
    with pytest.raises(DiskError):
        node.repair()
    assert not node.prefix.staging.exists()


def test_machines_are_told_each_finding_and_each_path(node: _Node) -> None:
    harm(node.file(f"{_ALPHA}/data"), "gone")
    harm(node.file("pyvenv.cfg"), "gone")
    _, said = node.repair(log_format="json")
    entries = [json.loads(line) for line in said.splitlines()]
    assert [entry["path"] for entry in entries if "path" in entry] == [f"{_ALPHA}/data", "pyvenv.cfg"]
    assert sorted(path for entry in entries for path in entry.get("paths", ())) == sorted(
        [f"{_ALPHA}/data", "pyvenv.cfg"]
    )


def test_many_restored_files_are_one_line_with_some_names(node: _Node) -> None:
    many = node.fake.wheel("many", files={f"many/{number}.txt": b"%d" % number for number in range(12)})
    node.fake.install(2, environment_cell([many]))
    shutil.rmtree(node.file(f"{SITE_PACKAGES}/many", 2))
    result, said = node.repair("g00002", stores=False)
    assert result.findings == []
    (line,) = (line for line in said.splitlines() if "restored" in line)
    assert ": 12 files: " in line
    assert line.endswith(" and more")
