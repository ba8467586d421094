"""The status of fake prefixes."""

import os
import platform
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon.host.retries import Retry
from daemon.prefix.lease_record import write_lease_record
from daemon.prefix.prefix import Prefix
from daemon.prefix.usage import read_usage
from daemon.upkeep import status as status_module
from daemon.upkeep.known_file import write_known
from daemon.upkeep.readiness import NOTHING_KNOWN
from daemon.upkeep.status import PrefixStatus, read_status
from gens.selection import Selection
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.synthetic.catalog import environment_cell


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.install(0)
    return fake


def _size(tree: Path) -> int:
    return sum(path.stat().st_size for path in tree.rglob("*") if path.is_file() and not path.is_symlink())


def test_a_prefix_that_does_not_exist_has_nothing(tmp_path: Path) -> None:
    assert read_status(Prefix(tmp_path / "nowhere")) == PrefixStatus(str(tmp_path / "nowhere"), None)


def test_a_sealed_generation_is_counted_with_what_sharing_saves(fake: FakePrefix) -> None:
    environment, toolkit = _size(fake.tree(0)), _size(fake.tree(0, fake.toolkit))
    alone = read_status(fake.prefix)
    assert alone.latest == "g00000"
    (generation,) = alone.generations
    assert (generation.name, generation.sealed, generation.latest, generation.problem) == (
        "g00000", True, True, "",
    )  # fmt: skip
    assert [(target.kind, target.name, target.ready) for target in generation.targets] == [
        ("cudnn", fake.toolkit, True), ("environment", fake.environment, True),
    ]  # fmt: skip
    assert generation.ready == 2
    assert generation.apparent_bytes == alone.apparent_bytes == environment + toolkit
    assert alone.free_bytes > 0
    fake.install(1)
    both = read_status(fake.prefix)
    assert both.apparent_bytes == 2 * (environment + toolkit)
    assert both.distinct_bytes - alone.distinct_bytes < environment / 2
    assert both.saved_bytes == both.apparent_bytes - both.distinct_bytes
    assert both.saved_bytes - alone.saved_bytes > toolkit


def test_a_status_names_the_selection_that_a_part_is_sealed_for(fake: FakePrefix) -> None:
    fake.define(1)
    fake.publish(1, fake.toolkit)
    fake.seal(1, Selection((fake.toolkit,)))
    fake.define(2)
    fake.seal(2, Selection(eager=()))
    found = [(item.name, item.sealed, item.selection) for item in read_status(fake.prefix).generations]
    assert found == [
        ("g00000", True, ""), ("g00001", True, f"--only {fake.toolkit}"), ("g00002", True, "on demand"),
    ]  # fmt: skip


def test_a_status_tells_what_is_left_out_from_what_is_missing(fake: FakePrefix) -> None:
    fake.define(1)
    fake.publish(1, fake.toolkit)
    fake.seal(1, Selection((fake.toolkit,)))
    whole, part = read_status(fake.prefix).generations
    assert whole.left_out == []
    assert part.left_out == [target.name for target in part.targets if target.name != fake.toolkit] != []


def test_a_status_names_the_machine_of_the_prefix(fake: FakePrefix) -> None:
    assert read_status(fake.prefix).machine == platform.machine()
    fake.prefix.machine_file.write_text("riscv64\n")
    assert read_status(fake.prefix).machine == "riscv64"


def test_the_bytes_of_a_status_are_those_of_the_gauges(fake: FakePrefix) -> None:
    fake.install(1, environment_cell([fake.wheel("alpha"), fake.wheel("beta")]))
    status, usage = read_status(fake.prefix), read_usage(fake.prefix)
    assert status.disk_bytes == usage.total_bytes
    assert (status.apparent_bytes, status.saved_bytes) == (usage.apparent_bytes, usage.saved_bytes)
    assert sum(generation.apparent_bytes for generation in status.generations) == status.apparent_bytes


def test_a_partial_generation_has_what_is_missing_and_counts_what_is_there(fake: FakePrefix) -> None:
    fake.define(1)
    fake.publish(1, fake.environment)
    generation = read_status(fake.prefix).generations[1]
    assert not generation.sealed
    assert not generation.latest
    assert {target.name: target.ready for target in generation.targets} == {
        fake.environment: True, fake.toolkit: False,
    }  # fmt: skip
    assert generation.apparent_bytes == _size(fake.tree(1))


def test_an_environment_that_is_listed_and_gone_is_not_ready(fake: FakePrefix) -> None:
    fake.tree(0).rename(fake.directory / "away")
    assert read_status(fake.prefix).generations[0].ready == 1


@pytest.mark.parametrize("of", ["damaged", "newer"])
def test_a_mark_that_cannot_be_read_is_a_problem_of_its_generation_alone(fake: FakePrefix, of: str) -> None:
    fake.install(1)
    if of == "newer":
        fake.make_newer(0)
    else:
        fake.prefix.sealed_mark("g00000").write_text("{")
    first, second = read_status(fake.prefix).generations
    assert of in first.problem
    assert (first.sealed, first.ready) == (False, 2)
    assert (second.sealed, second.problem) == (True, "")


def test_a_generation_without_its_list_offers_nothing(fake: FakePrefix) -> None:
    fake.prefix.environments_file("g00000").unlink()
    (generation,) = read_status(fake.prefix).generations
    assert (generation.targets, generation.apparent_bytes) == ([], 0)


def test_a_generation_being_removed_is_on_the_disk_and_not_in_the_list(fake: FakePrefix) -> None:
    before = read_status(fake.prefix)
    fake.retire(0)
    after = read_status(fake.prefix)
    assert after.generations == []
    assert after.disk_bytes >= before.disk_bytes


def test_what_no_install_made_is_named(fake: FakePrefix) -> None:
    (fake.prefix.generations / "notes").write_text("")
    (fake.prefix.toolkits / "lost+found").mkdir()
    notes, folder = read_status(fake.prefix).strangers
    assert notes.startswith("extra: monobase/notes: ")
    assert folder.startswith("extra: cuda/lost+found: ")


def test_files_linked_elsewhere_count_once_and_pipes_count_no_bytes(fake: FakePrefix) -> None:
    before = read_status(fake.prefix)
    os.mkfifo(fake.tree(0) / "pipe")
    (fake.tree(0) / "again").hardlink_to(fake.tree(0) / "pyvenv.cfg")
    after = read_status(fake.prefix)
    assert after.distinct_bytes == before.distinct_bytes
    assert after.apparent_bytes - before.apparent_bytes == (fake.tree(0) / "pyvenv.cfg").stat().st_size


def test_a_status_has_the_leases_and_what_the_daemon_tries_again(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_module, "time", SimpleNamespace(time=lambda: 4_000_000_000.0))
    label = f"g00000/{fake.environment}"
    write_lease_record(fake.prefix, {label: 4_000_000_000})
    retry = Retry(f"install {label}", 1, "no room", 0)
    write_known(fake.prefix, replace(NOTHING_KNOWN, retries=(retry,)))
    status = read_status(fake.prefix)
    assert (status.leased, status.last_uses) == ([], {label: 4_000_000_000})
    assert status.failures == [f"install {label} failed once, next try at 1970-01-01 00:00:00 UTC: no room"]
    with fake.lease(0):
        assert read_status(fake.prefix).leased == [label]
