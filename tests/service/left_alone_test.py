"""Tests that a failure affects nothing else, and is retried after its own delay on a monotonic clock."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.node.node import SITE, Node
from tests.node.running_daemon import Daemon
from tests.synthetic.catalog import PYTHON, cells, environment_cell

pytest_plugins = ["tests.service.fixture"]

_TORCH = f"python{PYTHON}-torch2.4.1-cpu"
# Loaded by each Python that has its folder on its path: the time of day is what the file beside it adds.
_CLOCK = """
import pathlib, time
_now, _file = time.time, pathlib.Path(__file__).with_name("offset")
def shifted():
    try:
        return _now() + float(_file.read_text())
    except (OSError, ValueError):
        return _now()
time.time = shifted
"""


def _tried(daemon: Daemon, subject: str) -> int:
    return sum(entry.get("subject") == subject for entry in daemon.entries())


def _retries(daemon: Daemon) -> dict[str, int]:
    body = json.loads(daemon.get("/readyz")[1])
    return {retry["subject"]: retry["attempts"] for retry in body["retries"]}


def test_a_repair_that_cannot_be_keeps_no_new_generation_out(node: Node) -> None:
    alpha = node.wheel("alpha")
    node.define_all({0: cells(alpha)})
    node.run("install")
    (node.environment() / SITE / "alpha" / "__init__.py").write_text("damaged = 1\n")
    node.index.repository.lose(alpha.filename)
    node.run("prune", "--min-gen-id", "0")  # uv's cache keeps nothing that would restore it
    _empty_cache(node)
    node.define_all({1: cells(node.wheel("beta"))})
    with node.daemon() as daemon:
        daemon.wait_until(lambda: node.prefix.sealed_mark("g00001").exists())
        daemon.wait_until(lambda: node.prefix.latest.readlink() == Path("g00001"))
        daemon.wait_until(lambda: _retries(daemon).get("repair g00000", 0) >= 2)
        assert list(_retries(daemon)) == ["repair g00000"]
        assert "repair g00000 failed" in daemon.get("/readyz?format=text")[1]
        assert "repair g00000" in daemon.get("/")[1]
        assert daemon.metric('monobase_failing_attempts{subject="repair g00000"}') >= 2
        assert daemon.metric('monobase_next_try_seconds{subject="repair g00000"}') >= 0
        assert daemon.metric('monobase_generation_ready{generation="g00001"}') == 1
        assert "repair g00000 failed" in node.run("ready", code=1).stdout
        node.index.add(alpha.spec)
        daemon.wait_ready()
        daemon.wait_until(lambda: not _retries(daemon))
    node.run("verify")


def _empty_cache(node: Node) -> None:
    subprocess.run(["rm", "-rf", node.prefix.uv_cache], check=True)  # noqa: S607


def test_an_environment_that_fails_has_its_own_delay_and_the_next_generation_is_tried_at_once(
    node: Node,
) -> None:
    alpha, beta = node.wheel("alpha"), node.wheel("beta")
    node.define_all({0: [environment_cell([alpha]), environment_cell([beta], torch="2.4.1")]})
    node.index.repository.lose(beta.filename)
    with node.daemon("--retry-delay", "3600", "--max-retry-delay", "3600") as daemon:
        daemon.wait_until(lambda: _retries(daemon) == {f"install g00000/{_TORCH}": 1})
        node.define_all({1: cells(alpha)})
        daemon.wait_until(lambda: node.prefix.sealed_mark("g00001").exists())
        (node.environment() / SITE / "alpha" / "__init__.py").unlink()
        daemon.wait_until(lambda: daemon.metric("monobase_repairs_total") >= 1)
        assert _retries(daemon) == {f"install g00000/{_TORCH}": 1}
        assert _tried(daemon, f"install g00000/{_TORCH}") == 1


def _lock_malformed(node: Node) -> str:
    (node.directory / "gens" / "g00001" / f"python{PYTHON}.txt").write_text("nonsense\n")
    return f"install g00001/python{PYTHON}"


def _definition_malformed(node: Node) -> str:
    (node.directory / "gens" / "g00001.json").write_text("{")
    return "definition g00001"


def _mark_of_another_definition(node: Node) -> str:
    mark = node.prefix.sealed_mark("g00001")
    mark.parent.mkdir(parents=True)
    content = {"generation": 1, "definition": "sha256:0", "manifests": {}, "environments": "0" * 64}
    mark.write_text(json.dumps(content))
    return "install g00001"


def _mark_of_a_newer_release(node: Node) -> str:
    mark = node.prefix.sealed_mark("g00001")
    mark.parent.mkdir(parents=True)
    mark.write_text(json.dumps({"format": 9}))
    return "install g00001"


def _folder_is_a_file(node: Node) -> str:
    node.prefix.generations.mkdir(parents=True)
    node.prefix.generation("g00001").write_bytes(b"")
    return "g00001"


@pytest.mark.parametrize(
    "harm",
    [
        _lock_malformed,
        _definition_malformed,
        _mark_of_another_definition,
        _mark_of_a_newer_release,
        _folder_is_a_file,
    ],
)
def test_a_generation_that_cannot_be_had_leaves_the_others_alone(
    node: Node, harm: Callable[[Node], str]
) -> None:
    alpha = node.wheel("alpha")
    node.define_all({0: cells(alpha), 1: cells(alpha), 2: cells(alpha)})
    subject = harm(node)
    with node.daemon("--no-repair") as daemon:
        daemon.wait_until(
            lambda: all(node.prefix.sealed_mark(name).exists() for name in ("g00000", "g00002"))
        )
        daemon.wait_until(lambda: any(subject in item for item in _retries(daemon)))
        assert node.prefix.latest.readlink() == Path("g00002")
        assert "g00001" in daemon.get("/readyz?format=text")[1]
        assert not daemon.said("Traceback")
        assert "g00001" in node.run("ready", code=1).stdout


@pytest.mark.parametrize("harm", ["one", "all", "gone"])
def test_what_is_installed_stays_served_while_definitions_cannot_be_read(node: Node, harm: str) -> None:
    alpha = node.wheel("alpha")
    node.define_all({0: cells(alpha), 1: cells(alpha)})
    gens = node.directory / "gens"
    with node.daemon() as daemon:
        daemon.wait_ready()
        kept = {name: (gens / name).read_bytes() for name in ("g00000.json", "g00001.json")}
        if harm == "gone":
            gens.rename(node.directory / "aside")
        for name in kept if harm == "all" else ["g00001.json"] if harm == "one" else []:
            (gens / name).write_text("{")
        subject = "definitions" if harm == "gone" else "definition g00001"
        daemon.wait_until(lambda: _retries(daemon).get(subject, 0) >= 2)
        assert daemon.ready()
        assert f"{subject} failed" in daemon.get("/readyz?format=text")[1]
        if harm == "gone":
            (node.directory / "aside").rename(gens)  # its locks are needed to repair
        (node.environment(generation="g00001") / SITE / "alpha" / "__init__.py").unlink()
        daemon.wait_until(lambda: daemon.metric("monobase_repairs_total") >= 1)
        daemon.wait_ready()
        for name, content in kept.items():
            (gens / name).write_bytes(content)
        daemon.wait_until(lambda: not _retries(daemon))


def test_features_that_cannot_be_written_keep_nothing_from_being_done(node: Node) -> None:
    features = node.directory / "features.d"
    (features / "monobase").mkdir(parents=True)  # in place of the file
    node.define_all({0: cells(node.wheel("alpha"))})
    with node.daemon("--features-dir", str(features)) as daemon:
        daemon.wait_ready()
        daemon.wait_until(lambda: _retries(daemon).get("features", 0) >= 2)
        node.define_all({1: cells(node.wheel("beta"))})
        daemon.wait_until(lambda: node.prefix.sealed_mark("g00001").exists())
        (features / "monobase").rmdir()
        daemon.wait_until(lambda: (features / "monobase").is_file() and not _retries(daemon))


def test_a_folder_in_place_of_what_probes_are_told_is_replaced(node: Node) -> None:
    node.prefix.generations.mkdir(parents=True)
    known = node.prefix.generations / ".known.json"
    known.mkdir()
    node.define_all({0: cells(node.wheel("alpha"))})
    with node.daemon() as daemon:
        daemon.wait_ready()
        daemon.wait_until(lambda: known.is_file() and not _retries(daemon))


def test_a_clock_that_is_set_moves_no_delay(node: Node) -> None:
    clock = node.directory / "clock"
    clock.mkdir()
    (clock / "sitecustomize.py").write_text(_CLOCK)
    offset = clock / "offset"
    offset.write_text("0")
    alpha = node.wheel("alpha")
    node.define_all({0: cells(alpha)})
    path = os.pathsep.join([str(clock), node.environment_variables()["PYTHONPATH"]])
    subject = f"install g00000/python{PYTHON}"
    node.index.repository.lose(alpha.filename)
    with node.daemon(variables={"PYTHONPATH": path}) as daemon:
        daemon.wait_until(lambda: _tried(daemon, subject) >= 2)
        offset.write_text("-3600")
        before = _tried(daemon, subject)
        daemon.wait_until(lambda: _tried(daemon, subject) >= before + 3)
        offset.write_text("7200")
        before = _tried(daemon, subject)
        daemon.wait_until(lambda: _tried(daemon, subject) >= before + 3)
        offset.write_text("-7200")
        node.index.add(alpha.spec)
        daemon.wait_ready()
        checked = daemon.metric("monobase_last_check_timestamp_seconds")
        daemon.wait_until(lambda: daemon.metric("monobase_last_check_timestamp_seconds") > checked)
        (node.environment() / SITE / "alpha" / "__init__.py").unlink()
        daemon.wait_until(lambda: daemon.metric("monobase_repairs_total") >= 1)
        daemon.wait_ready()


def test_patterns_that_mean_nothing_are_refused_and_not_called_ready(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha"))})
    assert "matches nothing" in node.run("run", "--only", "pyhton*", code=3).stderr
    assert "matches nothing" in node.run("ready", "--only", "pyhton*", code=3).stderr
