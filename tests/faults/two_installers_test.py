"""Tests two installs on one prefix: one writes, the other waits and reports which process it waits for."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.tree import leftovers
from tests.index.server import LocalIndex
from tests.node.node import PATIENT, Node, end_group, make_node, wait_for_group
from tests.node.small_generation import define_small_generation
from tests.synthetic.catalog import environment_cell

pytest_plugins = ["tests.index.fixture"]

_WAITING = re.compile(r"waiting for process (\d+) on \S+, which writes to (.+)")


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    return make_node(local_index, tmp_path)


@contextmanager
def _halted_in_fetch(node: Node, *arguments: str) -> "Iterator[subprocess.Popen[str]]":
    """Start an install, hold it where it fetches while the `with` block lasts, then let it end."""
    with node.index.gate("*.whl") as gate:
        process = node.start(*arguments, variables=PATIENT)
        try:
            gate.wait_reached()
            os.killpg(process.pid, signal.SIGSTOP)
            gate.open()
            yield process
            os.killpg(process.pid, signal.SIGCONT)
            _, said = process.communicate(timeout=120)
            assert process.returncode == 0, said
            assert "waiting" not in said
        finally:
            end_group(process)


def _first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def test_the_second_says_whom_it_waits_for_and_both_end_well(node: Node) -> None:
    define_small_generation(node)
    with _halted_in_fetch(node, "--jobs", "2") as first:
        second = node.start("--jobs", "2")
        assert _WAITING.findall(_first_line(second)) == [(str(first.pid), str(node.root))]
    _, said = second.communicate(timeout=120)
    assert second.returncode == 0, said
    assert set(node.index.log.wheel_downloads().values()) == {1}
    assert len(node.index.log.wheel_downloads()) == 5
    assert node.is_sealed()
    assert leftovers(node.prefix) == []
    node.verify()


def test_two_that_begin_at_the_same_moment_both_end_well(node: Node) -> None:
    define_small_generation(node)
    processes = [node.start("--jobs", "1") for _ in range(3)]
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    assert set(node.index.log.wheel_downloads().values()) == {1}
    assert node.is_sealed()
    node.verify()


def test_one_that_waits_goes_on_when_the_other_is_killed(node: Node) -> None:
    define_small_generation(node)
    with node.index.gate("*.whl") as gate:
        first = node.start(variables=PATIENT)
        gate.wait_reached()
        second = node.start("--log-format", "json")
        assert f"waiting for process {first.pid} " in _first_line(second)
        os.kill(first.pid, signal.SIGKILL)  # the installer alone: its uv must not go on writing
        first.communicate(timeout=120)
        wait_for_group(first)
        gate.open()
        _, said = second.communicate(timeout=120)
    assert first.returncode == -signal.SIGKILL
    assert second.returncode == 0, said
    assert set(node.index.log.wheel_downloads().values()) == {1}
    assert node.is_sealed()
    assert leftovers(node.prefix) == []
    node.verify()


def test_one_that_does_not_want_to_wait_names_the_other_and_changes_nothing(node: Node) -> None:
    define_small_generation(node)
    with _halted_in_fetch(node) as first:
        said = node.install("--lock-timeout", "0", code=6)
        assert f"process {first.pid} " in said
        assert "--lock-timeout" in said
        assert node.prefix.staging.exists()
    node.verify()


def test_installs_on_two_prefixes_do_not_wait_for_each_other(node: Node) -> None:
    node.define(environment_cell([node.wheel()]))
    other = node.with_prefix(node.directory / "other")
    with _halted_in_fetch(node):
        other.install()
        other.verify()


def test_verify_does_not_wait_for_an_install(node: Node) -> None:
    node.define(environment_cell([node.wheel()]))
    node.install()
    node.define(environment_cell([node.wheel("beta")]), generation=1)
    node.index.log.clear()
    with _halted_in_fetch(node):
        node.verify()


def test_a_terminated_install_ends_without_waiting_for_its_downloads_and_the_next_ends_whole(
    node: Node,
) -> None:
    define_small_generation(node)
    with node.index.gate("*.whl") as gate:
        first = node.start(variables=PATIENT)
        gate.wait_reached()
        os.kill(first.pid, signal.SIGTERM)
        first.communicate(timeout=120)
    assert first.returncode != 0
    node.install()
    assert node.is_sealed()
    assert leftovers(node.prefix) == []
    node.verify()
