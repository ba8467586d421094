"""The record of last leases."""

import fcntl
import os
from pathlib import Path

import pytest

from daemon.errors import NewerFormatError
from daemon.prefix.lease_record import (
    InstalledEnvironment,
    last_leases,
    last_uses,
    read_lease_record,
    read_leases,
    write_lease_record,
)
from tests.fake_prefix.fake_prefix import FakePrefix


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.install(0)
    return fake


def _environment(name: str, *, leased: bool = False, installed_s: int = 100) -> InstalledEnvironment:
    return InstalledEnvironment("g00000", name, installed_s, leased, generation_leased=False)


def test_a_record_is_read_as_it_was_written(fake: FakePrefix) -> None:
    assert read_lease_record(fake.prefix) == {}
    write_lease_record(fake.prefix, {"g00000/python3.11": 5, "g00000/a": 7})
    assert read_lease_record(fake.prefix) == {"g00000/python3.11": 5, "g00000/a": 7}


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": "2"}', b'{"last": [1]}', b"\xff", b"1"])
def test_a_record_that_cannot_be_read_is_as_none_and_is_written_again(
    fake: FakePrefix, content: bytes
) -> None:
    (fake.prefix.generations / ".leases.json").write_bytes(content)
    assert read_lease_record(fake.prefix) == {}
    write_lease_record(fake.prefix, {"a": 1})
    assert read_lease_record(fake.prefix) == {"a": 1}


@pytest.mark.parametrize("content", [b'{"format": 2, "last": {"a": 1}}', b'{"format": 3, "leases": []}'])
def test_a_record_of_a_newer_release_is_not_read_and_stays(fake: FakePrefix, content: bytes) -> None:
    path = fake.prefix.generations / ".leases.json"
    path.write_bytes(content)
    assert read_lease_record(fake.prefix) == {}
    with pytest.raises(NewerFormatError, match="written by a newer monobase: has format"):
        write_lease_record(fake.prefix, {"a": 1})
    assert path.read_bytes() == content


def test_a_folder_in_place_of_the_record_is_replaced(fake: FakePrefix) -> None:
    (fake.prefix.generations / ".leases.json" / "x").mkdir(parents=True)
    assert read_lease_record(fake.prefix) == {}
    write_lease_record(fake.prefix, {"a": 1})
    assert read_lease_record(fake.prefix) == {"a": 1}


def test_each_environment_is_seen_with_its_lease_and_that_of_its_generation(fake: FakePrefix) -> None:
    (found,) = read_leases(fake.prefix)
    assert (found.label, found.leased, found.generation_leased) == (
        f"g00000/{fake.environment}",
        False,
        False,
    )
    assert found.installed_s == int(fake.tree(0).lstat().st_ctime)
    descriptor = os.open(fake.tree(0), os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    (found,) = read_leases(fake.prefix)
    assert (found.leased, found.generation_leased) == (True, False)
    os.close(descriptor)
    with fake.lease(0):
        (found,) = read_leases(fake.prefix)
    assert (found.leased, found.generation_leased) == (False, True)


def test_the_last_use_is_now_or_the_last_lease_or_the_installation() -> None:
    environments = [
        _environment("leased", leased=True), _environment("recorded"), _environment("new"),
        _environment("again", installed_s=500), _environment("clock"),
        _environment("ahead", installed_s=9000),
    ]  # fmt: skip
    recorded = {"g00000/recorded": 300, "g00000/again": 200, "g00000/clock": 5000, "g00000/gone": 1}
    leases = last_leases(environments, recorded, 1000)
    assert leases == {
        "g00000/leased": 1000, "g00000/recorded": 300, "g00000/again": 200, "g00000/clock": 1000
    }  # fmt: skip
    assert last_uses(environments, leases, 1000) == {
        "g00000/leased": 1000, "g00000/recorded": 300, "g00000/new": 100, "g00000/again": 500,
        "g00000/clock": 1000, "g00000/ahead": 1000,
    }  # fmt: skip
