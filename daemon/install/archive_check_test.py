import gzip
from pathlib import Path

from daemon.errors import NewerFormatError
from daemon.host.known_contents import KnownContents
from daemon.install.archive_check import drop_damaged_wheels
from daemon.prefix.inventory import inventory_path
from daemon.uv.cache import find_archive
from gens.errors import MonobaseError
from gens.lock import LockedWheel
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.synthetic.catalog import locked_wheel


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
