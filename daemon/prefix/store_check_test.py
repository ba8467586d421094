"""Names in the stores that no install gives."""

import gzip
from pathlib import Path

import pytest

from daemon.prefix.finding import Finding
from daemon.prefix.gpu_architectures import architectures_path, keep_architectures
from daemon.prefix.store_check import check_stores, is_of_a_store, strangers
from tests.fake_prefix.fake_prefix import FakePrefix


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.install(0)
    return fake


def _checked(fake: FakePrefix) -> set[tuple[str, str, str]]:
    found: list[Finding] = []
    check_stores(fake.prefix, found)
    assert all(is_of_a_store(finding) for finding in found)
    return {(finding.tree, finding.path, finding.kind) for finding in found}


def test_what_an_install_made_is_no_finding(fake: FakePrefix) -> None:
    assert _checked(fake) == set()


def test_strangers_among_generations_and_toolkits_are_found(fake: FakePrefix) -> None:
    (fake.prefix.generations / "notes").mkdir()
    (fake.prefix.generations / "g00000.old").touch()
    (fake.prefix.generations / "newest").symlink_to("g00000")
    (fake.prefix.generations / ".hidden").touch()
    (fake.prefix.toolkits / "file").touch()
    (fake.prefix.toolkits / "lost+found").mkdir()
    (fake.prefix.toolkits / ".x.1234.tmp").touch()
    found = {(finding.tree, finding.path): finding.detail for finding in strangers(fake.prefix)}
    assert found == {
        ("monobase", "notes"): "no install made it; move it away if nobody needs it",
        ("monobase", "g00000.old"): "a file, and no install made it; move it away if nobody needs it",
        ("monobase", "newest"): "a link, and no install made it; move it away if nobody needs it",
        ("cuda", "file"): "",
        ("cuda", "lost+found"): "a folder without .manifest: no install made it; "
        "move it away if nobody needs it",
    }


def test_what_is_misnamed_in_a_store_is_extra_and_what_is_not_a_file_unreadable(fake: FakePrefix) -> None:
    name = "ab" + "0" * 62
    (fake.prefix.files / "ab").mkdir(exist_ok=True)
    (fake.prefix.files / "ab" / name).mkdir()
    (fake.prefix.files / "ab" / f"{name}.x").symlink_to("nowhere")
    (fake.prefix.files / "ab" / "misplaced").touch()
    (fake.prefix.files / "ab" / ".x.1234.tmp").touch()
    (fake.prefix.files / "elsewhere").symlink_to("/etc")
    (fake.prefix.bytecode / "stray.pyc").touch()
    (fake.prefix.wheels / "stray").touch()
    assert _checked(fake) == {
        ("files", f"ab/{name}", "unreadable"),
        ("files", f"ab/{name}.x", "unreadable"),
        ("files", "ab/misplaced", "extra"),
        ("files", "elsewhere", "extra"),
        ("pyc", "stray.pyc", "extra"),
        ("wheels", "stray", "extra"),
    }


def test_records_that_cannot_be_read_or_are_newer_are_found(fake: FakePrefix) -> None:
    lists, inventories = fake.prefix.wheels.glob("*.pyc.gz"), fake.prefix.wheels.glob("*.files.gz")
    listed, inventory = next(lists), next(inventories)
    listed.write_bytes(b"no gzip")
    inventory.write_bytes(gzip.compress(b"monobase-inventory 999\n"))
    architectures = [architectures_path(fake.prefix, digit * 64) for digit in "012"]
    keep_architectures(fake.prefix, "0" * 64, ["sm_90"])
    architectures[1].write_bytes(gzip.compress(b"monobase-architectures 1\nsm_90 sm_100\n"))
    architectures[2].write_bytes(gzip.compress(b"monobase-architectures 999\n"))
    assert _checked(fake) == {
        ("wheels", listed.name, "unreadable"),
        ("wheels", inventory.name, "newer"),
        ("wheels", architectures[1].name, "unreadable"),
        ("wheels", architectures[2].name, "newer"),
    }


def test_a_prefix_that_does_not_exist_has_no_findings(tmp_path: Path) -> None:
    fake = FakePrefix(tmp_path)
    for folder in (fake.prefix.files, fake.prefix.bytecode, fake.prefix.wheels, fake.prefix.toolkits):
        folder.rmdir()
    assert _checked(fake) == set()
