"""Tests the daemon as a process: it reaches the desired state, reports it, and survives faults."""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from daemon.prefix.writer_lock import writer_lock
from daemon.upkeep.verify import verify
from gens.version import read_version
from tests.index.fault import status
from tests.node.node import PATIENT, SITE, Node
from tests.service.small_disk import small_disk
from tests.synthetic.catalog import PYTHON, cells, environment_cell

pytest_plugins = ["tests.service.fixture"]

_BAD = f"python{PYTHON}-torch2.4.1-cpu"


def test_the_node_becomes_ready_newest_generation_first(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha")), 1: cells(node.wheel("beta"), torch=("2.4.1",))})
    with node.daemon() as daemon:
        assert daemon.get("/healthz") == (200, "ok\n")
        daemon.wait_ready()
        body = json.loads(daemon.get("/readyz")[1])
        assert body["latest"] == "g00001"
        assert [item["name"] for item in body["generations"]] == ["g00001", "g00000"]
        sealed = {name: node.prefix.sealed_mark(name).stat().st_mtime_ns for name in ("g00000", "g00001")}
        assert sealed["g00001"] < sealed["g00000"]
        assert daemon.get("/readyz", "text/plain")[1] == "ready: g00001 g00000, latest g00001\n"
        node.run("ready")
        daemon.end()
        assert daemon.process.returncode == 0
    node.run("verify")


def test_the_probes_say_what_is_missing_and_why(node: Node) -> None:
    alpha, beta = node.wheel("alpha"), node.wheel("beta")
    node.define_all({0: [environment_cell([alpha]), environment_cell([beta], torch="2.4.1")]})
    node.index.repository.lose(beta.filename)
    assert "latest: names nothing" in node.run("ready", code=1).stdout
    with node.daemon() as daemon:
        daemon.wait_until(lambda: daemon.said(_BAD) and node.environment().exists())
        daemon.wait_until(lambda: "failed" in daemon.get("/readyz")[1])
        code, body = daemon.get("/readyz?format=text")
        assert code == 503
        assert _BAD in body
        assert "beta" in body
        daemon.wait_until(lambda: daemon.metric('monobase_failures_total{kind="index"}') >= 2)
        assert daemon.metric('monobase_environments{generation="g00000",state="failed"}') == 1
        assert daemon.metric('monobase_environments{generation="g00000",state="ready"}') == 1
        assert daemon.metric("monobase_ready") == 0
        page = daemon.get("/")[1]
        assert "not ready" in page
        assert _BAD in page
        probe = node.run("ready", code=1).stdout
        assert f"{_BAD} (uv failed" in probe
        node.index.add(beta.spec)
        daemon.wait_ready()
        assert daemon.metric("monobase_ready") == 1
    node.run("ready")


def test_an_index_that_is_down_at_the_start_and_comes_back_is_enough(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha"))})
    with node.index.down(), node.daemon() as daemon:
        daemon.wait_until(lambda: daemon.said("trying again"))
        assert daemon.get("/readyz")[0] == 503
        assert daemon.get("/healthz")[0] == 200
        assert daemon.metric('monobase_failures_total{kind="index"}') >= 1
        assert "the index cannot be reached" in daemon.get("/")[1]
        node.index.go_up()
        daemon.wait_ready()


def test_a_part_is_ready_when_what_was_asked_for_stands_there(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha"), torch=("2.4.1",))})
    with node.daemon("--only", f"python{PYTHON}") as daemon:
        daemon.wait_ready()
        assert (
            daemon.get("/readyz?format=text")[1] == f"ready: g00000, latest g00000, --only python{PYTHON}\n"
        )
        (node.environment() / SITE / "alpha" / "__init__.py").unlink()
        daemon.wait_until(lambda: daemon.metric("monobase_repairs_total") >= 1)
        daemon.wait_ready()
    assert not node.environment(name=_BAD).exists()
    node.run("ready", "--only", f"python{PYTHON}")
    node.run("ready", code=1)


def test_a_python_that_is_nowhere_leaves_the_environments_of_others_alone(node: Node) -> None:
    alpha = node.wheel("alpha")
    node.define_all({0: [environment_cell([alpha]), environment_cell([alpha], python="3.99.1")]})
    with node.daemon("--no-python-downloads") as daemon:
        daemon.wait_until(lambda: node.environment().exists())
        daemon.wait_until(lambda: "3.99" in daemon.get("/readyz?format=text")[1])
        daemon.wait_until(lambda: daemon.metric('monobase_failures_total{kind="interpreter"}') >= 1)


def test_a_generation_that_is_added_is_installed(node: Node) -> None:
    alpha = node.wheel("alpha")
    node.define_all({0: cells(alpha)})
    with node.daemon() as daemon:
        daemon.wait_ready()
        with node.index.down():
            node.define_all({1: cells(alpha, node.wheel("beta"))})
            daemon.wait_until(lambda: not daemon.ready())
            assert "g00001" in daemon.get("/readyz?format=text")[1]
        daemon.wait_until(lambda: node.prefix.latest.readlink() == Path("g00001"))
        daemon.wait_ready()


def test_the_metrics_tell_what_stands_there_and_what_it_takes(node: Node) -> None:
    shared = node.wheel("shared", size_bytes=500_000)
    node.define_all({0: cells(shared, torch=("2.4.1",)), 1: cells(shared)})
    with node.daemon() as daemon:
        daemon.wait_ready()
        daemon.wait_until(lambda: "monobase_saved_bytes" in daemon.get("/metrics")[1])
        version = read_version()
        labels = f'revision="{version.revision}",version="{version.version}"'
        assert daemon.metric(f"monobase_build_info{{{labels}}}") == 1
        assert daemon.metric("monobase_generations_active") == 2
        assert daemon.metric("monobase_generations_ready") == 2
        assert daemon.metric('monobase_generation_ready{generation="g00000"}') == 1
        assert daemon.metric('monobase_environments{generation="g00000",state="ready"}') == 2
        assert daemon.metric("monobase_latest_generation") == 1
        assert daemon.metric("monobase_install_duration_seconds_count") == 2
        assert daemon.metric("monobase_install_duration_seconds_sum") > 0
        assert daemon.metric("monobase_fetched_bytes_total") == shared.size_bytes
        assert daemon.metric("monobase_disk_free_bytes") > 0
        kinds = ("environments", "toolkits", "bytecode", "interpreters", "uv-cache", "bookkeeping")
        counted = sum(daemon.metric(f'monobase_disk_usage_bytes{{kind="{kind}"}}') for kind in kinds)
        saved = daemon.metric("monobase_saved_bytes")
        daemon.end()
    told = json.loads(node.run("status", "--json").stdout)
    assert counted == pytest.approx(told["disk_bytes"], rel=0.01)
    assert saved == told["saved_bytes"] > 2 * 500_000


@pytest.mark.parametrize("damage", ["changed", "missing", "extra", "manifest", "mark"])
def test_readiness_goes_away_with_damage_and_comes_back(node: Node, damage: str) -> None:
    node.define_all({0: cells(node.wheel("alpha"), torch=("2.4.1",))})
    site = node.environment() / SITE
    file = site / "alpha" / "__init__.py"
    with node.daemon() as daemon:
        daemon.wait_ready()
        if damage == "changed":
            content = bytearray(file.read_bytes())
            content[0] ^= 1  # the size stays
            with file.open("r+b") as stream:
                stream.write(content)
        elif damage == "missing":
            file.unlink()
        elif damage == "extra":
            (site / "intruder.py").write_text("evil = 1\n")
        elif damage == "manifest":
            (node.environment() / ".manifest").write_bytes(b"")
        else:
            node.prefix.sealed_mark("g00000").write_bytes(b"{")
        daemon.wait_until(lambda: daemon.said("not ready: g00000"))
        daemon.wait_until(lambda: daemon.metric("monobase_repairs_total") >= 1)
        daemon.wait_ready()
        assert daemon.metric('monobase_failures_total{kind="damage"}') >= 1
    node.run("verify")


def test_damage_that_is_not_to_be_repaired_is_told_until_somebody_does(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha"))})
    with node.daemon("--no-repair") as daemon:
        daemon.wait_ready()
        (node.environment() / SITE / "alpha" / "__init__.py").unlink()
        daemon.wait_until(lambda: not daemon.ready())
        assert "alpha/__init__.py" in daemon.get("/readyz?format=text")[1]
        assert "alpha/__init__.py" in node.run("ready", code=1).stdout
        assert daemon.metric('monobase_environments{generation="g00000",state="damaged"}') == 1
        node.run("verify", "--repair")
        daemon.wait_ready()


def test_a_full_verification_finds_what_a_failing_disk_changed(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha"))})
    file = node.environment() / SITE / "alpha" / "__init__.py"
    with node.daemon() as daemon:
        daemon.wait_ready()
        daemon.end()
    before = file.stat()
    content = file.read_bytes()
    file.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with node.daemon("--verify-interval", "0.3") as daemon:
        daemon.wait_until(lambda: daemon.metric("monobase_repairs_total") >= 1)
        daemon.wait_ready()
    assert file.read_bytes() == content


def test_another_range_is_another_readiness(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha")), 1: cells(node.wheel("beta"))})
    with node.daemon("--max-gen-id", "0") as daemon:
        daemon.wait_ready()
        node.run("ready", "--max-gen-id", "0")
        assert "g00001" in node.run("ready", "--max-gen-id", "1", code=1).stdout
        daemon.end()
    with node.daemon("--min-gen-id", "1") as daemon:
        daemon.wait_ready()
    assert node.prefix.latest.readlink() == Path("g00001")
    node.run("ready", "--min-gen-id", "1")
    node.run("ready", "--max-gen-id", "0", code=1)  # `latest` has moved on


def test_a_second_daemon_waits_for_the_first_and_takes_over(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha")), 1: cells(node.wheel("beta"))})
    with node.daemon("--max-gen-id", "0") as first:
        first.wait_ready()
        with node.daemon("--min-gen-id", "1") as second:
            second.wait_until(lambda: second.said("waiting for the daemon process"))
            assert second.get("/healthz")[0] == 200
            assert second.get("/readyz")[0] == 503
            for _ in range(3):  # rounds of the first, in which the second might have begun
                before = first.metric("monobase_last_check_timestamp_seconds")
                first.wait_until(
                    lambda before=before: first.metric("monobase_last_check_timestamp_seconds") > before  # type: ignore[misc]
                )
            assert second.get("/readyz")[0] == 503
            assert "beta" not in {request.path.split("/")[-2] for request in node.index.log.requests()}
            assert not node.prefix.sealed_mark("g00001").exists()
            first.end()
            second.wait_ready()
            second.end()


def test_a_daemon_that_waits_has_not_looked_at_the_files_and_does_not_say_ready(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha"))})
    with node.daemon() as first:
        first.wait_ready()
        with node.daemon() as second:
            second.wait_until(lambda: second.said("waiting for the daemon process"))
            status_code, body = second.get("/readyz?format=text")
            assert status_code == 503
            assert "g00000: its files have not been scanned since the daemon started" in body
            assert second.metric("monobase_ready") == 0
            first.end()
            second.wait_ready()


def test_sigterm_ends_a_daemon_that_waits_for_another(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha"))})
    with node.daemon() as first:
        first.wait_ready()
        with node.daemon() as second:
            second.wait_until(lambda: second.said("waiting for the daemon process"))
            second.end()
        first.end()


def test_sigterm_ends_a_daemon_while_the_index_does_not_answer(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha"))})
    with node.index.gate("*.whl") as gate, node.daemon(variables=PATIENT) as daemon:
        daemon.wait_until(gate.is_reached)
        daemon.end()
        assert daemon.process.returncode == 0
    with node.daemon() as daemon:
        daemon.wait_ready()
    node.run("verify")


def test_sigterm_ends_a_daemon_while_another_process_writes(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha"))})
    node.prefix.make_directories()
    with writer_lock(node.prefix, 0, print), node.daemon() as daemon:
        daemon.wait_until(lambda: daemon.said("which writes to"))
        assert daemon.get("/healthz")[0] == 200
        daemon.end()
        assert daemon.process.returncode == 0


def test_a_daemon_whose_lock_or_whole_prefix_is_removed_goes_on(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha"))})
    with node.daemon() as daemon:
        daemon.wait_ready()
        node.prefix.service_lock_file.unlink()
        daemon.wait_until(
            lambda: daemon.said("acquiring it again") and node.prefix.service_lock_file.exists()
        )
        daemon.wait_ready()
        shutil.rmtree(node.prefix.generations)
        daemon.wait_until(lambda: not daemon.ready())
        daemon.wait_ready()
    node.run("verify")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_daemon_that_is_ended_at_any_moment_loses_nothing(node: Node, number: signal.Signals) -> None:
    shared = node.wheel("shared", size_bytes=200_000)
    generations = {
        number_of: cells(shared, node.wheel("own", f"{number_of}.0"), torch=("2.3.1", "2.4.1"))
        for number_of in range(3)
    }
    node.define_all(generations)
    choose = random.Random(int(number))  # noqa: S311 (moments of a test)
    sealed: set[str] = set()
    for _ in range(20):
        with node.daemon() as daemon:
            daemon.wait_until(lambda: daemon.said("listening"))
            time.sleep(choose.uniform(0, 1.2))
            daemon.end(number)
            if number == signal.SIGTERM:
                assert daemon.process.returncode == 0, daemon.log.read_text()
        now = {name for name in node.prefix.installed_generations() if node.prefix.sealed_mark(name).exists()}
        assert sealed <= now
        sealed = now
        assert verify(node.prefix, sorted(sealed), jobs=1).findings == []
    with node.daemon() as daemon:
        daemon.wait_ready()
        daemon.end()
    node.run("verify")
    assert not node.prefix.staging.exists()


def test_features_tell_which_generations_are_ready(node: Node) -> None:
    features = node.directory / "features.d"
    features.mkdir()
    node.define_all({0: cells(node.wheel("alpha")), 1: cells(node.wheel("beta"))})
    with node.daemon("--features-dir", str(features)) as daemon:
        daemon.wait_ready()
        file = features / "monobase"
        daemon.wait_until(lambda: file.exists() and "monobase-ready=true" in file.read_text())
    assert (features / "monobase").read_text().splitlines() == [
        f"feature.node.kubernetes.io/monobase-{line}"
        for line in (
            "ready=true",
            "latest=g00001",
            "g00001=true",
            "g00000=true",
            f"g00001.python{PYTHON}=true",
            f"g00000.python{PYTHON}=true",
        )
    ]
    assert os.listdir(features) == ["monobase"]  # noqa: PTH208 (no temporary file beside it)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--min-gen-id", "2", "--max-gen-id", "1"], "no generation is active"),
        (["--prune-old-gen"], "--min-gen-id"),
        (["--listen", "nowhere"], "HOST:PORT"),
        (["--listen", "127.0.0.1:70000"], "HOST:PORT"),
        (["--retry-delay", "9", "--max-retry-delay", "1"], "--max-retry-delay"),
        (["--python-mirror", "file:///x", "--no-python-downloads"], "contradict"),
        (["--features-dir", "/nowhere"], "/nowhere"),
    ],
)
def test_bad_combinations_are_refused_at_the_start(node: Node, arguments: list[str], said: str) -> None:
    node.define_all({0: cells(node.wheel("alpha"))})
    assert said in node.run("run", *arguments, code=2).stderr
    assert not node.prefix.root.exists()


def test_flags_are_variables_as_well(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha")), 1: cells(node.wheel("beta"))})
    with node.daemon(variables={"MONOBASE_MAX_GEN_ID": "0"}) as daemon:
        daemon.wait_ready()
    assert node.prefix.installed_generations() == ["g00000"]
    assert "no generation" in node.run("run", code=2, variables={
        "MONOBASE_MIN_GEN_ID": "2", "MONOBASE_MAX_GEN_ID": "1",
    }).stderr  # fmt: skip


def test_a_port_that_is_taken_is_named(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha"))})
    done = node.run("run", "--listen", f"127.0.0.1:{node.index.port}", code=4)
    assert f"127.0.0.1:{node.index.port}" in done.stderr


def test_the_index_is_asked_again_after_it_failed_with_500(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha"))})
    with node.index.fault(status("*.whl", code=500, times=6)), node.daemon() as daemon:
        daemon.wait_ready()


def test_a_full_disk_is_told_and_room_is_enough(node: Node) -> None:
    with small_disk(node, "12m") as small:
        ballast = small / "ballast"
        ballast.write_bytes(bytes(9_000_000))
        node.define_all({0: cells(node.wheel("alpha", size_bytes=2_000_000))})
        with node.daemon() as daemon:
            daemon.wait_until(lambda: daemon.metric('monobase_failures_total{kind="disk"}') >= 1)
            assert "bytes" in daemon.get("/readyz?format=text")[1]
            ballast.unlink()
            daemon.wait_ready()
            daemon.end()
        node.run("verify")
