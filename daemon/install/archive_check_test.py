import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.errors import NewerFormatError
from daemon.host.known_contents import KnownContents
from daemon.install.archive_check import archive_differences, drop_damaged_wheels
from daemon.prefix.inventory import Inventory, inventory_path, take_inventory
from daemon.uv.cache import find_archive
from gens.errors import MonobaseError
from gens.lock import LockedWheel
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.synthetic.catalog import locked_wheel

_WHEEL = LockedWheel("alpha", "1.0", "0" * 64, "alpha-1.0-py3-none-any.whl", 1)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    (tmp_path / "archive" / "alpha").mkdir(parents=True)
    (tmp_path / "archive" / "alpha" / "m.py").write_bytes(b"right")
    (tmp_path / "archive" / "alpha" / "empty").write_bytes(b"")
    return tmp_path / "archive"


@pytest.fixture
def inventory(archive: Path) -> Inventory:
    return take_inventory(archive, _WHEEL)


def _differences(archive: Path, inventory: Inventory) -> list[str]:
    return archive_differences(archive, inventory, KnownContents(jobs=2), owners={os.geteuid()})


def test_an_archive_is_as_its_inventory_was_taken(archive: Path, inventory: Inventory) -> None:
    assert _differences(archive, inventory) == []


def _write(path: Path) -> None:
    status = path.stat()
    path.write_bytes(b"WRONG")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("empty")


@pytest.mark.parametrize(
    "harm",
    [_write, _link, Path.unlink, lambda path: path.chmod(0o777), lambda path: path.write_bytes(b"longer")],
)
def test_a_file_that_is_not_what_it_was_is_named(
    archive: Path, inventory: Inventory, harm: Callable[[Path], object]
) -> None:
    harm(archive / "alpha" / "m.py")
    assert _differences(archive, inventory) == ["alpha/m.py"]


def test_a_file_of_another_owner_is_named(archive: Path, inventory: Inventory) -> None:
    found = archive_differences(archive, inventory, KnownContents(jobs=2), owners=set())
    assert found == ["alpha/empty", "alpha/m.py"]


def test_a_file_that_the_wheel_did_not_bring_is_named(archive: Path, inventory: Inventory) -> None:
    (archive / "more.pth").write_bytes(b"import evil")
    assert _differences(archive, inventory) == ["more.pth"]


def _drop(fake: FakePrefix, *wheels: LockedWheel) -> tuple[dict[str, MonobaseError], list[str]]:
    warnings: list[str] = []
    return drop_damaged_wheels(fake.prefix, wheels, KnownContents(1), warnings.append), warnings


def test_a_damaged_wheel_is_dropped_with_a_warning_and_a_sound_one_stays(tmp_path: Path) -> None:
    fake = FakePrefix(tmp_path)
    made = [fake.wheel(name) for name in ("alpha", "beta")]
    alpha, beta = map(locked_wheel, made)
    (fake.archive(made[0]) / "alpha.py").write_bytes(b"evil\n")
    unusable, (warning,) = _drop(fake, alpha, beta)
    assert unusable == {}
    assert warning.startswith(f"{alpha.filename}: ")
    assert "(1 files, such as alpha.py)" in warning
    assert find_archive(fake.prefix.uv_cache, alpha) is None
    assert find_archive(fake.prefix.uv_cache, beta) is not None


def test_a_damaged_inventory_is_removed_with_a_warning(tmp_path: Path) -> None:
    fake = FakePrefix(tmp_path)
    alpha = locked_wheel(fake.wheel("alpha"))
    path = inventory_path(fake.prefix, alpha.sha256)
    path.write_bytes(b"junk")
    unusable, (warning,) = _drop(fake, alpha)
    assert unusable == {}
    assert str(path) in warning
    assert not path.exists()


def test_a_wheel_with_an_inventory_of_a_newer_release_cannot_be_used(tmp_path: Path) -> None:
    fake = FakePrefix(tmp_path)
    alpha = locked_wheel(fake.wheel("alpha"))
    path = inventory_path(fake.prefix, alpha.sha256)
    text = gzip.decompress(path.read_bytes()).replace(b"monobase-inventory 1", b"monobase-inventory 999")
    path.write_bytes(gzip.compress(text))
    unusable, warnings = _drop(fake, alpha)
    assert isinstance(unusable[alpha.sha256], NewerFormatError)
    assert warnings == []
    assert path.exists()


def test_a_wheel_that_is_not_there_is_no_damage(tmp_path: Path) -> None:
    fake = FakePrefix(tmp_path)
    assert _drop(fake, locked_wheel(fake.wheel("alpha", cached=False))) == ({}, [])
