"""Tests that Monobase finds the fake prefix undamaged, and that each of its states has the named fault."""

import os
from pathlib import Path

import pytest

from daemon.prefix.finding import Finding
from daemon.prefix.generation import is_present, is_sealed
from daemon.prefix.latest import latest_name
from daemon.prefix.lease import is_leased
from daemon.prefix.mark_check import check_mark
from daemon.prefix.tree_check import Digests, verify_interpreter, verify_tree
from tests.fake_prefix.fake_prefix import INTERPRETER, FakePrefix
from tests.synthetic.catalog import environment_cell


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    return FakePrefix(tmp_path)


def _findings(fake: FakePrefix) -> list[Finding]:
    findings: list[Finding] = []
    for name in fake.prefix.installed_generations():
        for entry in sorted(fake.prefix.generation(name).iterdir()):
            if entry.is_dir():
                verify_tree(fake.prefix, entry.resolve(), Digests(1), findings)
        check_mark(fake.prefix, name, findings)
    verify_interpreter(fake.prefix, INTERPRETER, Digests(1), findings)
    return findings


def test_an_installed_generation_is_sealed_and_differs_in_nothing(fake: FakePrefix) -> None:
    generation = fake.install(0)
    assert is_sealed(fake.prefix, generation)
    assert _findings(fake) == []
    assert latest_name(fake.prefix) == "g00000"


def test_environments_of_the_same_wheel_share_its_inodes(fake: FakePrefix) -> None:
    alpha = fake.wheel("alpha")
    fake.install(0, environment_cell([alpha]), environment_cell([alpha], torch="2.4.1"))
    names = [target.name for target in fake.generation(0).targets]
    found = {name: {path.stat().st_ino for path in fake.tree(0, name).rglob("alpha.*py*")} for name in names}
    assert found[names[0]] == found[names[1]] != set()
    assert _findings(fake) == []


def test_what_is_staged_is_not_present_and_what_is_published_is_not_sealed(fake: FakePrefix) -> None:
    generation = fake.define(0)
    environment = generation.target(fake.environment)
    tree = fake.stage(0, fake.environment)
    assert tree.is_dir()
    assert not is_present(fake.prefix, generation, environment)
    fake.publish(0, fake.environment)
    assert is_present(fake.prefix, generation, environment)
    assert not is_sealed(fake.prefix, generation)


def test_a_leased_generation_is_leased_while_the_block_lasts(fake: FakePrefix) -> None:
    fake.install(0)
    directory = fake.prefix.generation("g00000")
    with fake.lease(0):
        assert is_leased(directory)
    assert not is_leased(directory)


def test_what_is_newer_is_found_newer(fake: FakePrefix) -> None:
    fake.install(0)
    fake.make_newer(0)
    fake.make_tree_newer(fake.tree(0))
    assert {finding.kind for finding in _findings(fake)} == {"newer"}


def test_the_interpreter_runs(fake: FakePrefix) -> None:
    fake.install(0)
    assert os.access(fake.tree(0) / "bin" / "python", os.X_OK)
