"""Evictions on a real node: the command, the lease of the runtime, and a budget that is too small."""

import json
import subprocess
from typing import Any

import pytest

from daemon.prefix.generation import published_names
from daemon.prefix.lease import offer_environment_leases
from runtime.shells import EXEC, SYSTEM_PATH, read_only
from tests.node.node import PLAIN, Node
from tests.synthetic.catalog import PYTHON, Cell, environment_cell

pytest_plugins = ["tests.service.fixture"]

_OWN_BYTES = 3_000_000
_RELEASES = ("2.1.0", "2.2.0", "2.3.0")
_NAMES = [PLAIN, *(f"python{PYTHON}-torch{release}-cpu" for release in _RELEASES)]


def _define(node: Node) -> None:
    shared = node.wheel("shared", size_bytes=1_000_000)
    cells: list[Cell] = [environment_cell([shared])]
    for release in _RELEASES:
        own = node.wheel("own", release, size_bytes=_OWN_BYTES)
        cells.append(environment_cell([shared, own], torch=release))
    node.define(*cells)


def _last(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stderr.splitlines()[-1])
    return found


def _budget(node: Node, less_bytes: int) -> str:
    return f"--disk-budget={node.disk_bytes() - less_bytes}"


def test_evict_frees_what_dry_run_said_and_leaves_the_rest_whole(node: Node) -> None:
    _define(node)
    node.install()
    arguments = ("evict", _budget(node, _OWN_BYTES // 2), "--eager", PLAIN, "--log-format", "json")
    before = node.disk_bytes()
    predicted = _last(node.run(*arguments, "--dry-run"))
    assert node.disk_bytes() == before
    assert predicted["environments"] == [f"g00000/{_NAMES[1]}"]
    gone = _last(node.run(*arguments))
    freed = before - node.disk_bytes()
    assert gone["environments"] == predicted["environments"]
    assert freed > _OWN_BYTES
    assert abs(freed - predicted["freed_bytes"]) <= freed / 100
    assert published_names(node.prefix, "g00000") == {_NAMES[0], *_NAMES[2:]}
    assert not node.is_sealed()
    node.verify()
    assert _last(node.run(*arguments))["environments"] == []


def test_an_environment_that_comes_back_after_its_eviction_is_whole(node: Node) -> None:
    _define(node)
    node.install()
    node.run("evict", _budget(node, _OWN_BYTES // 2), "--eager", PLAIN)
    node.install()
    assert node.is_sealed()
    node.verify()


def test_room_is_made_for_what_is_to_come(node: Node) -> None:
    _define(node)
    node.install("--only", _NAMES[1], "--only", _NAMES[2])
    room = ("--room-for", _NAMES[3], "--log-format", "json")
    limit = node.disk_bytes() + _OWN_BYTES // 2
    found = _last(node.run("evict", f"--disk-budget={limit}", *room))
    assert (
        found["environments"] == [f"g00000/{_NAMES[1]}", f"g00000/{_NAMES[2]}"][: len(found["environments"])]
    )
    assert found["needed_bytes"] > _OWN_BYTES
    node.install("--only", _NAMES[3], f"--disk-budget={limit}")
    assert node.disk_bytes() <= limit


def test_an_install_that_would_pass_the_budget_is_refused_with_both_figures(node: Node) -> None:
    _define(node)
    said = node.install("--disk-budget", "5M", code=5)
    assert "bytes are needed for 4 environments and toolkits" in said
    assert "of 5,000,000 (--disk-budget 5M) are in use" in said
    assert published_names(node.prefix, "g00000") == set()
    node.install("--disk-budget", "500M")
    assert node.is_sealed()


def test_an_environment_that_a_model_of_the_runtime_leases_stays_and_others_of_its_generation_go(
    node: Node,
) -> None:
    _define(node)
    node.install()
    offer_environment_leases(node.prefix)
    waits = "import sys; print(flush=True); sys.stdin.read()"
    model = subprocess.Popen(
        [*read_only(node.prefix.root), EXEC, "python", "-c", waits],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={
            "PATH": SYSTEM_PATH, "PYTHON_VERSION": PYTHON, "MONOBASE_LEASE": "1",
            "TORCH_VERSION": _RELEASES[0], "MONOBASE_PREFIX": str(node.prefix.root),
        },
    )  # fmt: skip
    assert model.stdout is not None
    assert model.stdout.readline() == b"\n"
    arguments = ("evict", _budget(node, _OWN_BYTES // 2), "--eager", PLAIN)
    done = node.run(*arguments)
    assert f"g00000/{_NAMES[1]} stays: a model has leased it: process" in done.stderr
    assert published_names(node.prefix, "g00000") == {*_NAMES[:2], _NAMES[3]}
    refused = node.run("evict", _budget(node, 2 * _OWN_BYTES), "--eager", PLAIN, code=5)
    assert "evicting all that may go would free" in refused.stderr
    assert published_names(node.prefix, "g00000") == {*_NAMES[:2], _NAMES[3]}
    model.communicate()
    node.run("evict", _budget(node, 2 * _OWN_BYTES), "--eager", PLAIN)
    assert published_names(node.prefix, "g00000") == {PLAIN}


@pytest.mark.parametrize("point", ["evict:unsealed", "evict:listed", "evict:renamed"])
def test_a_kill_during_an_eviction_leaves_what_the_next_one_completes(node: Node, point: str) -> None:
    _define(node)
    node.install()
    arguments = ("evict", _budget(node, _OWN_BYTES // 2), "--eager", PLAIN)
    node.run(*arguments, variables={"MONOBASE_FAULT_AT": point}, code=-9)
    node.verify()
    node.run(*arguments)
    assert published_names(node.prefix, "g00000") == {_NAMES[0], *_NAMES[2:]}
    node.verify()
    node.install()
    assert node.is_sealed()
    node.verify()
