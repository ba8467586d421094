"""The origins of files of environments and toolkits."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.install.options import InstallOptions
from daemon.prefix.inventory import InventoryFile
from daemon.prefix.manifest import expected_files, read_manifest
from daemon.prefix.writer_lock import WriterLock, writer_lock
from daemon.report.progress import Reporter
from daemon.upkeep.origins import Origins
from daemon.upkeep.repair_source import RepairSource
from daemon.uv.program import Uv
from tests.fake_prefix.fake_node import ALPHA, BYTECODE, CUDNN, LIBRARY
from tests.fake_prefix.fake_prefix import FakePrefix


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.install(0)
    return fake


def _source(writer: WriterLock, fake: FakePrefix) -> RepairSource:
    uv = Uv(Path("/bin/false"), fake.prefix)
    return RepairSource(writer, fake.catalog, uv, InstallOptions(), Reporter(quiet=True))


@pytest.fixture
def source(fake: FakePrefix) -> Iterator[RepairSource]:
    with writer_lock(fake.prefix, 0, print) as writer:
        yield _source(writer, fake)


def _origins(source: RepairSource, label: str, path: str) -> tuple[Origins, InventoryFile]:
    manifest = read_manifest(source.prefix.root / label / ".manifest")
    return Origins(source, label, manifest, {path}), expected_files(source.prefix, manifest)[path]


def _environment(fake: FakePrefix) -> str:
    return f"monobase/g00000/{fake.environment}"


def test_a_file_of_a_wheel_is_in_the_archive(fake: FakePrefix, source: RepairSource) -> None:
    origins, file = _origins(source, _environment(fake), f"{ALPHA}/data")
    (place,) = origins.places(file)
    assert place.samefile(fake.tree(0) / ALPHA / "data")
    assert origins.lenders(file) == []
    assert origins.wheel(file) is not None
    assert not origins.is_made_by_uv(file)


def test_bytecode_is_in_the_shared_store_and_from_no_wheel(fake: FakePrefix, source: RepairSource) -> None:
    origins, file = _origins(source, _environment(fake), BYTECODE)
    (place,) = origins.places(file)
    assert place.samefile(fake.tree(0) / BYTECODE)
    assert place.is_relative_to(fake.prefix.bytecode)
    assert origins.wheel(file) is None
    assert not origins.is_made_by_uv(file)


def test_what_uv_writes_is_nowhere_else(fake: FakePrefix, source: RepairSource) -> None:
    origins, file = _origins(source, _environment(fake), "pyvenv.cfg")
    assert (origins.places(file), origins.lenders(file)) == ([], [])
    assert origins.is_made_by_uv(file)


def test_a_file_of_a_toolkit_is_found_by_its_content_under_another_path(source: RepairSource) -> None:
    origins, file = _origins(source, f"cuda/{CUDNN}", LIBRARY)
    (place,) = origins.places(file)
    assert place.parts[-4:] == ("nvidia", "cudnn", "lib", "libcudnn.so.9")


def test_content_with_another_mode_can_be_lent(fake: FakePrefix, source: RepairSource) -> None:
    origins, file = _origins(source, _environment(fake), f"{ALPHA}/data")
    executable = InventoryFile(file.path, file.sha256, file.size_bytes, 0o755)
    assert origins.places(executable) == []
    assert [path.name for path in origins.lenders(executable)] == ["data"]


def test_a_toolkit_that_no_lock_names_has_no_origins(fake: FakePrefix, source: RepairSource) -> None:
    (fake.directory / "gens" / "g00000.json").unlink()
    fake.define(7)
    for lock in (fake.directory / "gens" / "g00007").iterdir():
        lock.unlink()
    origins, file = _origins(_source(source.writer, fake), f"cuda/{CUDNN}", LIBRARY)
    assert origins.places(file) == []


def test_a_damaged_inventory_of_a_toolkit_gives_no_origin_and_no_error(
    fake: FakePrefix, source: RepairSource
) -> None:
    for path in fake.prefix.wheels.glob("*.files.gz"):
        path.write_bytes(b"junk")
    origins, file = _origins(source, f"cuda/{CUDNN}", LIBRARY)
    assert origins.wheel(file) is None
