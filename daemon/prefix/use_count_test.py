"""Compares what a count reports after each environment with what a new reading of the prefix finds."""

from pathlib import Path

import pytest

from daemon.prefix.unused import Used, bytecode_of, read_used, read_uses, unused_records
from daemon.prefix.use_count import UseCount
from tests.fake_prefix.fake_prefix import INTERPRETER, FakePrefix
from tests.synthetic.catalog import environment_cell

_SHARED, _OF_TWO, _OWN = "shared", "of-two", "own"


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    """Three environments: all share a wheel, two share another one, and each has one of its own."""
    fake = FakePrefix(tmp_path)
    shared, of_two = fake.wheel(_SHARED), fake.wheel(_OF_TWO)
    fake.install(
        0,
        *(
            environment_cell(
                [shared, *([of_two] if number < 2 else []), fake.wheel(_OWN, f"1.{number}", files={
                    "own/__init__.py": f"NUMBER = {number}\n".encode()
                })], f"2.{number}.0",
            )
            for number in range(3)
        ),
    )  # fmt: skip
    return fake


def _read(fake: FakePrefix, without: set[str]) -> Used:
    return read_used(fake.prefix, ["g00000"], (), (), {f"g00000/{name}" for name in without})


def test_each_removal_leaves_in_use_what_a_new_reading_finds(fake: FakePrefix) -> None:
    uses = read_uses(fake.prefix, "g00000")
    count = UseCount(fake.prefix, Used(), uses.values())
    gone: set[str] = set()
    assert count.used == _read(fake, gone)
    for name in sorted(name for name in uses if name):
        count.remove(uses[name])
        gone.add(name)
        assert count.used == _read(fake, gone)
    assert count.used == Used()


def test_the_records_of_each_removal_are_those_that_a_new_reading_finds_unused(fake: FakePrefix) -> None:
    uses = read_uses(fake.prefix, "g00000")
    count = UseCount(fake.prefix, Used(), uses.values())
    gone: set[str] = set()
    before: set[str] = set()
    for name in sorted(name for name in uses if name):
        found = list(count.records(count.remove(uses[name])))
        gone.add(name)
        now = {item.path for item in unused_records(fake.prefix, _read(fake, gone))}
        assert found
        assert set(found) == now - before
        before |= now


def test_what_always_stays_is_never_gone(fake: FakePrefix) -> None:
    uses = read_uses(fake.prefix, "g00000")
    wheels = {sha256 for used in uses.values() for sha256 in used.wheels}
    count = UseCount(fake.prefix, Used(wheels=wheels, interpreters={INTERPRETER}), uses.values())
    for used in uses.values():
        gone = count.remove(used)
        assert (gone.wheels, gone.interpreters) == (set(), set())
    assert count.has_wheel(wheels)
    assert not count.has_wheel(["0" * 64])


def test_environments_hold_no_names_of_bytecode_of_their_own(fake: FakePrefix) -> None:
    uses = read_uses(fake.prefix, "g00000")
    assert all(not used.bytecode for used in uses.values())
    assert any(bytecode_of(fake.prefix, path) for used in uses.values() for path in used.lists)
