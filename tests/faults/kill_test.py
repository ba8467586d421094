"""SIGKILL at many moments of an install: no incomplete thing has a final name, the next ends whole."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.system_calls import CHANGES, count_by_thread, everything, installer_only, strace_program
from tests.faults.tree import Reference, count_inodes, incomplete, leftovers, take_reference, tree_paths
from tests.index.server import LocalIndex
from tests.node.node import Node, end_group, make_node
from tests.node.small_generation import define_small_generation

_STAGES = ("plan", "fetch", "link", "compile", "lay out", "seal")
_POINTS = (
    "plan:done", "fetch:call", "fetch:synced", "fetch:kept", "link:linked", "compile:compiled",
    "compile:kept", "layout:toolkit", "seal:synced", "seal:renamed", "seal:listed", "seal:done",
    "seal:latest",
)  # fmt: skip
# How many moments each call of the installer's main thread gets, spread evenly over all that it makes of it.
_MAIN_THREAD_CALLS = {"rename": 9, "fsync": 6, "syncfs": 5, "symlink": 2, "mkdir": 4, "unlinkat": 3}
_WORKER_LINKS = (1, 4, 8, 12)
_ANY_CALLS = 14
_TIMES = 9
_MOMENTS_WANTED = 60
_ARGUMENTS = ("--jobs", "2", "--log-format", "json")


@dataclass(frozen=True, slots=True)
class World:
    """The state that all tests of this module share.

    Attributes:
        node: A node whose generation is defined; each test gives it a prefix of its own.
        reference: What an install that nothing disturbs makes.
        seconds: How long such an install takes.
        main_thread: How many calls of each name its main thread makes.
        any_calls: How many calls it and uv make together.
    """

    node: Node
    reference: Reference
    seconds: float
    main_thread: Counter[str]
    any_calls: int


@dataclass(frozen=True, slots=True)
class Death:
    """The end of an install.

    Attributes:
        moment: When it was to end.
        stage: The stage that it was in, by what it said last.
    """

    moment: str
    stage: str


_deaths: list[Death] = []


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if strace_program() is None:
        pytest.skip("strace is not installed here; the toolbox of ./bazelw has it")
    directory = tmp_path_factory.mktemp("world")
    with LocalIndex(directory / "index") as index:
        node = make_node(index, directory)
        define_small_generation(node)
        node.install(*_ARGUMENTS)
        reference = take_reference(node.prefix)
        assert len(reference.trees) == 5
        began = time.monotonic()
        node.with_prefix(directory / "timed").install(*_ARGUMENTS)
        seconds = time.monotonic() - began
        trace = directory / "trace"
        options = ("-e", f"trace={CHANGES}", "-o", str(trace))
        node.with_prefix(directory / "own").install(*_ARGUMENTS, before=installer_only(*options))
        by_thread = count_by_thread(trace)
        main = min(thread for thread, _ in by_thread)
        main_thread = Counter({name: count for (thread, name), count in by_thread.items() if thread == main})
        node.with_prefix(directory / "all").install(*_ARGUMENTS, before=everything(*options))
        yield World(node, reference, seconds, main_thread, count_by_thread(trace).total())


@pytest.fixture
def node(world: World, tmp_path: Path) -> Node:
    return world.node.with_prefix(tmp_path / "prefix")


@pytest.mark.parametrize("point", _POINTS)
def test_a_kill_at_a_boundary_of_a_stage_is_survived(world: World, node: Node, point: str) -> None:
    said = node.install(*_ARGUMENTS, code=-signal.SIGKILL, variables={"MONOBASE_FAULT_AT": point})
    _check_that_it_is_survived(world, node, f"at {point}", said)


@pytest.mark.parametrize(
    ("name", "number", "total"),
    [(name, number, total) for name, total in _MAIN_THREAD_CALLS.items() for number in range(total)],
)
def test_a_kill_at_a_system_call_of_the_installer_is_survived(
    world: World, node: Node, name: str, number: int, total: int
) -> None:
    nth = 1 + round(number * (world.main_thread[name] - 1) / max(1, total - 1))
    said = node.install(*_ARGUMENTS, code=-signal.SIGKILL, before=_killed_at(name, nth))
    _check_that_it_is_survived(world, node, f"at {name} {nth} of {world.main_thread[name]}", said)


@pytest.mark.parametrize("nth", _WORKER_LINKS)
def test_a_kill_while_workers_make_links_is_survived(world: World, node: Node, nth: int) -> None:
    said = node.install(*_ARGUMENTS, code=-signal.SIGKILL, before=_killed_at("link", nth))
    _check_that_it_is_survived(world, node, f"at link {nth} of a worker", said)


@pytest.mark.parametrize("number", range(_ANY_CALLS))
def test_a_kill_at_any_system_call_of_uv_or_the_installer_is_survived(
    world: World, node: Node, tmp_path: Path, number: int
) -> None:
    nth = round((number + 0.5) * world.any_calls / _ANY_CALLS)
    said = _kill_after_calls(node, tmp_path / "calls", nth)
    _check_that_it_is_survived(world, node, f"after {nth} calls of {world.any_calls}", said)


@pytest.mark.parametrize("number", range(_TIMES))
def test_a_kill_at_any_time_is_survived(world: World, node: Node, number: int) -> None:
    fraction = (number + 1) / (_TIMES + 1)
    seconds = world.seconds
    for _ in range(5):
        shutil.rmtree(node.root, ignore_errors=True)
        began = time.monotonic()
        said, code = _kill_after(node, fraction * seconds)
        if code == -signal.SIGKILL:
            break
        seconds = (
            time.monotonic() - began
        )  # it had ended: this install was quicker than the one that was timed
    assert code == -signal.SIGKILL, said
    _check_that_it_is_survived(world, node, f"after {fraction:.0%} of the time", said)


@pytest.mark.parametrize("name", ["linkat", "renameat2"])
def test_an_install_whose_uv_is_killed_says_so_and_the_next_ends_whole(
    world: World, node: Node, name: str
) -> None:
    # The installer itself makes none of these calls.
    before = everything("-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when=1", "-o", os.devnull)
    said = node.install(*_ARGUMENTS, code=11, before=before)
    assert "uv was ended by SIGKILL" in said
    assert incomplete(node.prefix, world.reference) == []
    _check_that_the_next_ends_whole(world, node)


def test_at_least_60_moments_in_all_stages_were_tried(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = len(_POINTS) + sum(_MAIN_THREAD_CALLS.values()) + len(_WORKER_LINKS) + _ANY_CALLS + _TIMES
    assert planned >= _MOMENTS_WANTED
    if len(request.session.items) < planned:
        pytest.skip("only some of the tests of this file were asked for")
    by_stage = Counter(death.stage for death in _deaths)
    with capsys.disabled():
        print(
            f"\nkilled at {len(_deaths)} moments:",
            ", ".join(f"{by_stage[name]} in {name}" for name in _STAGES),
        )
    assert len(_deaths) == planned
    assert set(by_stage) == set(_STAGES)


def _check_that_it_is_survived(world: World, node: Node, moment: str, said: str) -> None:
    _deaths.append(Death(moment, _stage_of_death(said)))
    assert incomplete(node.prefix, world.reference) == [], moment
    if node.prefix.installed_generations():
        assert node.differences() == [], moment
    _check_that_the_next_ends_whole(world, node)


def _check_that_the_next_ends_whole(world: World, node: Node) -> None:
    node.install(*_ARGUMENTS)
    assert node.is_sealed()
    assert node.prefix.latest.readlink() == Path("g00000")
    assert incomplete(node.prefix, world.reference) == []
    assert {str(path.relative_to(node.root)) for path in tree_paths(node.prefix)} == set(
        world.reference.trees
    )
    assert node.differences() == []
    assert leftovers(node.prefix) == []
    assert count_inodes(node.prefix) == world.reference.inodes


def _stage_of_death(said: str) -> str:
    entries = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    ended = [entry["stage"] for entry in entries if "stage" in entry]
    return _STAGES[min(len(ended), len(_STAGES) - 1)]


def _killed_at(name: str, nth: int) -> list[str]:
    return installer_only(
        "-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={nth}", "-o", os.devnull
    )


def _kill_after_calls(node: Node, pipe: Path, nth: int) -> str:
    os.mkfifo(pipe)
    process = node.start(*_ARGUMENTS, before=everything("-e", f"trace={CHANGES}", "-o", str(pipe)))
    try:
        with pipe.open(errors="replace") as lines:
            for number, _ in enumerate(lines, 1):
                if number >= nth:
                    break
            end_group(process)
        _, said = process.communicate(timeout=60)
    finally:
        end_group(process)
    assert process.returncode == -signal.SIGKILL, said
    return said


def _kill_after(node: Node, seconds: float) -> tuple[str, int]:
    process = node.start(*_ARGUMENTS)
    try:
        _, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        end_group(process)
        _, said = process.communicate(timeout=60)
    return said, process.returncode
