"""The machine of a prefix."""

import errno
import os
import platform
from pathlib import Path

import pytest

from daemon.errors import ForeignPrefixError
from daemon.prefix import machine
from daemon.prefix.machine import check_machine, claim_machine, machine_of
from daemon.prefix.prefix import Prefix
from daemon.prefix.writer_lock import writer_lock


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    prefix = Prefix(tmp_path / "prefix")
    prefix.make_directories()
    return prefix


def _be(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)


def _write(prefix: Prefix) -> None:
    with writer_lock(prefix, 0, lambda _: None):
        pass


def test_a_prefix_is_for_the_machine_of_its_first_writer(
    prefix: Prefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_machine(prefix)
    assert not prefix.machine_file.exists()
    _be("aarch64", monkeypatch)
    _write(prefix)
    assert prefix.machine_file.read_text() == "aarch64\n"
    _write(prefix)
    _be("x86_64", monkeypatch)
    with pytest.raises(ForeignPrefixError) as refusal:
        _write(prefix)
    said = f"{prefix.root}: is a prefix for aarch64, and this machine is x86_64: "
    assert str(refusal.value).startswith(said)
    with pytest.raises(ForeignPrefixError):
        check_machine(prefix)
    assert prefix.machine_file.read_text() == "aarch64\n"


def test_a_folder_that_does_not_exist_belongs_to_no_machine(tmp_path: Path) -> None:
    check_machine(Prefix(tmp_path / "nothing"))


@pytest.mark.parametrize(
    ("names", "is_foreign"),
    [
        (["cpython-3.11.10-linux-x86_64-gnu"], True),
        (["cpython-3.14.0+freethreaded-linux-x86_64-gnu", ".cpython-3.1.1-linux-aarch64-gnu.complete"], True),
        (["cpython-3.11.10-linux-aarch64-gnu"], False),
        (["cpython-3.11.10-linux-x86_64-gnu", "cpython-3.11.10-linux-aarch64-gnu"], False),
        ([".lock", "notes"], False),
    ],
)  # fmt: skip
def test_the_interpreters_tell_the_machine_of_a_prefix_of_an_earlier_release(
    prefix: Prefix, monkeypatch: pytest.MonkeyPatch, names: list[str], is_foreign: bool
) -> None:
    for name in names:
        (prefix.uv_python / name).mkdir()
    _be("aarch64", monkeypatch)
    if is_foreign:
        with pytest.raises(ForeignPrefixError, match="is a prefix for x86_64"):
            claim_machine(prefix)
        assert not prefix.machine_file.exists()
    else:
        claim_machine(prefix)
        assert prefix.machine_file.read_text() == "aarch64\n"


def test_interpreters_of_this_machine_and_another_tell_this_one(
    prefix: Prefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("aarch64", "x86_64"):
        (prefix.uv_python / f"cpython-3.11.10-linux-{name}-gnu").mkdir()
    for own in ("aarch64", "x86_64"):
        _be(own, monkeypatch)
        assert machine_of(prefix) == own


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_keeps_no_writer_that_makes_room_from_an_unrecorded_prefix(
    prefix: Prefix, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(machine, "write_file", fail)
    if number == errno.ENOSPC:
        _write(prefix)
    else:
        with pytest.raises(OSError, match="Input/output"):
            _write(prefix)
    assert not prefix.machine_file.exists()


@pytest.mark.parametrize("damage", ["empty", "junk", "folder", "pipe"])
def test_a_damaged_record_is_written_again(prefix: Prefix, damage: str) -> None:
    if damage == "folder":
        (prefix.machine_file / "deep").mkdir(parents=True)
    elif damage == "pipe":
        os.mkfifo(prefix.machine_file)
    else:
        prefix.machine_file.write_text("" if damage == "empty" else "an x86\n")
    _write(prefix)
    assert prefix.machine_file.read_text() == f"{platform.machine()}\n"
