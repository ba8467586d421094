"""Provides a repair with fetched wheels, interpreters and rebuilt trees."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.errors import DamageError
from daemon.install.options import InstallOptions
from daemon.prefix.inventory import inventory_path
from daemon.prefix.manifest import read_manifest
from daemon.prefix.staging import begin_staging, end_staging
from daemon.prefix.writer_lock import writer_lock
from daemon.report.progress import Reporter
from daemon.upkeep.repair_source import RepairSource
from daemon.uv.program import Uv
from tests.fake_prefix.fake_node import CUDNN, LIBRARY, FakeNode
from tests.fake_prefix.fake_prefix import BYTECODE_KEY
from tests.faults.harm import harm
from tests.synthetic.catalog import PYTHON_FULL

_REBUILT = f"cuda/{CUDNN}"


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    return FakeNode(tmp_path, monkeypatch)


@pytest.fixture
def source(node: FakeNode) -> Iterator[RepairSource]:
    options = InstallOptions(downloads=False)
    with writer_lock(node.prefix, 0, print) as writer:
        begin_staging(node.prefix)
        yield RepairSource(
            writer, node.fake.catalog, Uv(Path("/bin/false"), node.prefix), options, Reporter(quiet=True)
        )
        end_staging(node.prefix)


def _sha256(source: RepairSource, node: FakeNode) -> str:
    return source.locks.wanted(f"monobase/g00000/{node.fake.environment}").lock.wheels[0].sha256


def test_a_fetched_wheel_replaces_what_the_cache_has_of_it(node: FakeNode, source: RepairSource) -> None:
    sha256 = _sha256(source, node)
    before = source.archive(sha256)
    assert before is not None
    harm(before / "alpha/data", "bytes")
    assert source.fetch([sha256]) == {}
    after = source.archive(sha256)
    assert after is not None
    assert (after / "alpha/data").read_bytes() == b"data\n"


def test_a_damaged_inventory_is_replaced_with_its_wheel_and_a_sound_one_stays(
    node: FakeNode, source: RepairSource
) -> None:
    path = inventory_path(node.prefix, _sha256(source, node))
    before = path.stat().st_ino
    source.fetch([_sha256(source, node)])
    assert path.stat().st_ino == before
    path.write_bytes(b"junk")
    source.fetch([_sha256(source, node)])
    assert path.read_bytes() == node.inventories[_sha256(source, node)]


def test_a_failed_wheel_is_requested_once_and_one_that_no_lock_names_never(
    node: FakeNode, source: RepairSource
) -> None:
    sha256 = _sha256(source, node)
    node.lost = {"alpha"}
    first = source.fetch([sha256, "0" * 64])
    node.lost = set()
    assert source.fetch([sha256]) == {sha256: first[sha256]}
    assert node.fetched == []
    assert str(first["0" * 64]) == f"no lock names the wheel sha256:{'0' * 64}"


def test_the_interpreter_of_the_prefix_is_found_once(node: FakeNode, source: RepairSource) -> None:
    found = source.interpreter(PYTHON_FULL)
    assert found.executable.is_relative_to(node.fake.interpreter)
    harm(found.executable, "gone")
    assert source.interpreter(PYTHON_FULL) is found


def test_a_rebuilt_toolkit_is_the_one_that_was_installed(node: FakeNode, source: RepairSource) -> None:
    made = source.rebuild(_REBUILT)
    installed = node.prefix.toolkits / CUDNN
    assert (made / LIBRARY).samefile(installed / LIBRARY)
    assert read_manifest(made / ".manifest").content == read_manifest(installed / ".manifest").content
    assert node.fetched == []


@pytest.mark.parametrize("of", ["archive", "inventory", "no inventory", "no archive"])
def test_a_rebuilt_toolkit_is_made_of_undamaged_wheels(node: FakeNode, source: RepairSource, of: str) -> None:
    sha256 = source.locks.wanted(_REBUILT).lock.wheels[0].sha256
    inventory, archive = inventory_path(node.prefix, sha256), source.archive(sha256)
    assert archive is not None
    if of == "archive":
        harm(archive / "nvidia/cudnn/include/cudnn.h", "mode")
    elif of == "no archive":
        node.remove_cache()
        source.archive(sha256)
    elif of == "inventory":
        inventory.write_bytes(b"junk")
    else:
        inventory.unlink()
    made = source.rebuild(_REBUILT)
    assert node.fetched == ["nvidia-cudnn-cu12"] or of == "no archive"
    assert (made / "include" / "cudnn.h").stat().st_mode & 0o777 == 0o644


def test_a_toolkit_whose_wheel_cannot_be_fetched_is_not_rebuilt(node: FakeNode, source: RepairSource) -> None:
    for path in node.prefix.wheels.glob("*.files.gz"):
        path.unlink()
    node.lost = {"nvidia-cudnn-cu12"}
    with pytest.raises(Exception, match="is not on the index"):
        source.rebuild(_REBUILT)


def test_sources_are_compiled_by_the_interpreter_of_their_environment_or_not_at_all(
    node: FakeNode, source: RepairSource, tmp_path: Path
) -> None:
    (tmp_path / "x.py").write_text("x = 1\n")
    item = (str(tmp_path / "x.py"), str(tmp_path / "x.pyc"), "x.py")
    tree = node.fake.tree(0)
    source.compile(tree, BYTECODE_KEY, [item, item])
    assert (tmp_path / "x.pyc").exists()
    with pytest.raises(DamageError, match=r"and the bytecode is of cpython-39-3\.9\.1"):
        source.compile(tree, "cpython-39-3.9.1", [item])
    (tree / "bin" / "python").unlink()
    with pytest.raises(DamageError, match="bin/python: No such file or directory; nothing can be compiled"):
        source.compile(tree, BYTECODE_KEY, [item])
