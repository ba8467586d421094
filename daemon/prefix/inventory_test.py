import gzip
from pathlib import Path

import pytest

from daemon.errors import DamageError, WheelContentError
from daemon.host.known_contents import KnownContents
from daemon.prefix.inventory import (
    Inventory,
    InventoryFile,
    check_against_held,
    inventory_path,
    keep_inventory,
    read_inventory,
    record_differences,
    take_inventory,
    write_inventory,
)
from daemon.prefix.prefix import Prefix
from gens.lock import LockedWheel

_WHEEL = LockedWheel("alpha", "1.0", "a" * 64, "alpha-1.0-py3-none-any.whl", 10)


def _archive(tmp_path: Path, record: str, **files: bytes) -> Path:
    archive = tmp_path / "archive"
    (archive / "alpha-1.0.dist-info").mkdir(parents=True)
    (archive / "alpha-1.0.dist-info" / "RECORD").write_text(record)
    for name, content in files.items():
        (archive / f"{name}.py").write_bytes(content)
    return archive


def test_an_inventory_holds_what_is_there_whatever_record_says(tmp_path: Path) -> None:
    archive = _archive(tmp_path, "b.py,sha256=wrong,1\n", b=b"b = 1\n", a=b"")
    (archive / "a.py").chmod(0o755)
    inventory = take_inventory(archive, _WHEEL)
    assert [(file.path, file.size_bytes, oct(file.mode)) for file in inventory.files][:2] == [
        ("a.py", 0, "0o755"),
        ("alpha-1.0.dist-info/RECORD", 20, "0o644"),
    ]
    assert [file.path for file in inventory.installed_as_is()] == ["a.py", "b.py"]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("a.py,,\n", []),
        ("a.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n", []),
        ("a.py,sha256=wrong,0\n", ["a.py"]),
        ("a.py,,\ngone.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n", ["gone.py"]),
    ],
)
def test_what_differs_from_record_is_named(tmp_path: Path, record: str, expected: list[str]) -> None:
    archive = _archive(tmp_path, record, a=b"")
    assert record_differences(archive, take_inventory(archive, _WHEEL), _WHEEL) == expected


@pytest.mark.parametrize("path", ["../x.py", "/etc/x.py", "a/../../x.py"])
def test_a_record_that_leaves_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    archive = _archive(tmp_path, f"{path},,\n", a=b"")
    with pytest.raises(WheelContentError, match="leaves the folder"):
        record_differences(archive, take_inventory(archive, _WHEEL), _WHEEL)


def test_a_link_in_a_wheel_is_refused(tmp_path: Path) -> None:
    archive = _archive(tmp_path, "")
    (archive / "link").symlink_to("/etc/passwd")
    with pytest.raises(WheelContentError, match="'link' is not a regular file"):
        take_inventory(archive, _WHEEL)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path)
    prefix.make_directories()
    files = (
        InventoryFile("a file ü\u2028x.py", "b" * 64, 3, 0o644),
        InventoryFile("b\udcff", "c" * 64, 4, 0o755),
    )
    inventory = Inventory("a" * 64, files)
    write_inventory(inventory, inventory_path(prefix, "a" * 64))
    assert read_inventory(prefix, "a" * 64) == inventory
    assert read_inventory(prefix, "d" * 64) is None


@pytest.mark.parametrize("content", [b"junk", gzip.compress(b"too few\n"), gzip.compress(b"a b c d\n")])
def test_a_damaged_inventory_is_named(tmp_path: Path, content: bytes) -> None:
    prefix = Prefix(tmp_path)
    prefix.make_directories()
    inventory_path(prefix, "a" * 64).write_bytes(content)
    with pytest.raises(DamageError, match="is damaged"):
        read_inventory(prefix, "a" * 64)


def _kept(prefix: Prefix, *files: InventoryFile) -> Inventory:
    inventory = Inventory(_WHEEL.sha256, files)
    staged = prefix.wheels / "staged"
    write_inventory(inventory, staged)
    keep_inventory(prefix, inventory, staged)
    assert not staged.exists()
    return inventory


def test_an_inventory_of_the_same_content_stays_and_another_one_replaces_it(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path)
    prefix.make_directories()
    path = inventory_path(prefix, _WHEEL.sha256)
    one, two = (InventoryFile(name, "0" * 64, 1, 0o644) for name in ("a", "b"))
    _kept(prefix, one)
    inode = path.stat().st_ino
    assert _kept(prefix, one).size_bytes == 1
    assert path.stat().st_ino == inode
    _kept(prefix, two)
    assert path.stat().st_ino != inode
    path.write_bytes(b"no gzip")
    assert _kept(prefix, one) == read_inventory(prefix, _WHEEL.sha256)


def test_a_wheel_that_is_unpacked_otherwise_than_before_is_refused(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path)
    prefix.make_directories()
    one, two = (InventoryFile("a", digit * 64, 1, 0o644) for digit in "01")
    check_against_held(prefix, Inventory(_WHEEL.sha256, (one,)), _WHEEL)
    _kept(prefix, one)
    check_against_held(prefix, Inventory(_WHEEL.sha256, (one,)), _WHEEL)
    with pytest.raises(WheelContentError, match="whl: a was unpacked otherwise"):
        check_against_held(prefix, Inventory(_WHEEL.sha256, (two,)), _WHEEL)
    inventory_path(prefix, _WHEEL.sha256).write_bytes(b"no gzip")
    check_against_held(prefix, Inventory(_WHEEL.sha256, (two,)), _WHEEL)


def test_what_is_read_is_remembered(tmp_path: Path) -> None:
    archive, known = _archive(tmp_path, "", a=b"x = 1\n"), KnownContents(1)
    inventory = take_inventory(archive, _WHEEL, known)
    assert set(known.snapshot().values()) == {file.sha256 for file in inventory.files}


def test_a_record_that_is_not_text_is_refused(tmp_path: Path) -> None:
    archive = _archive(tmp_path, "", a=b"")
    (archive / "alpha-1.0.dist-info" / "RECORD").write_bytes(b"\xff\xfe")
    with pytest.raises(WheelContentError, match="RECORD is malformed"):
        record_differences(archive, take_inventory(archive, _WHEEL), _WHEEL)


def test_a_wheel_has_one_record(tmp_path: Path) -> None:
    archive = _archive(tmp_path, "")
    (archive / "beta-1.0.dist-info").mkdir()
    (archive / "beta-1.0.dist-info" / "RECORD").touch()
    with pytest.raises(WheelContentError, match="holds 2 RECORD files instead of one"):
        record_differences(archive, take_inventory(archive, _WHEEL), _WHEEL)
