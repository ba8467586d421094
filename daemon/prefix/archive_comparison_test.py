"""Each way in which an unpacked wheel can differ from its inventory."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.host.known_contents import KnownContents
from daemon.prefix.archive_comparison import archive_differences
from daemon.prefix.inventory import Inventory, take_inventory
from gens.lock import LockedWheel

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
