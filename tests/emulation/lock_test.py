"""Tests of the lock of the emulator, as it is checked in."""

from pathlib import Path

from image.debian.lock.lock_file import inputs_digest, lock_name, parse_lock

FOLDER = Path("tests/emulation")


def test_the_lock_belongs_to_the_list_and_has_one_package() -> None:
    path = FOLDER / lock_name("amd64")
    lock = parse_lock(path.read_text(), path)
    assert lock.inputs == inputs_digest((FOLDER / "packages.txt").read_text()), (
        "the lock was made from another packages.txt; see README.md"
    )
    assert {layer: [package.name for package in found] for layer, found in lock.layers.items()} == {
        "emulator": ["qemu-user"]
    }
