"""The conformance run, with the real kubectl and a scripted API server: each step finds its fault."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.conformance import Result, report, run_steps
from tests.cluster.kubectl import Kubectl, Manifest
from tests.cluster.program import kubectl_program
from tests.cluster.scripted_api import Cluster, scripted_api
from tests.cluster.steps import (
    DAEMON,
    STEPS,
    Step,
    Subject,
    a_drained_node,
    a_full_node,
    a_model_before_the_daemon,
    a_second_apply,
    cpus,
    pruning_under_a_lease,
    the_daemon,
    the_waiting_model,
    uninstalled,
    with_variables,
)
from tools.deploy.base import Image, read_base
from tools.deploy.rendering import render

TREE = Path(__file__).parent.parent.parent
NAMESPACE = "monobase-conformance"
NAMES = [step.__name__.replace("_", " ") for step in STEPS]


def _rendered(folder: str, name: str, namespace: str | None) -> list[Manifest]:
    base = read_base(TREE / folder)
    image = Image(name, "sha256:" + "1" * 64, f"registry.example/{name}")
    return render(replace(base, images=(image,)), namespace)


@contextmanager
def _subject(cluster: Cluster, tmp_path: Path, wait_s: float) -> Iterator[Subject]:
    with scripted_api(cluster) as kubeconfig:
        (tmp_path / "kubeconfig").write_text(kubeconfig)
        environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        kubectl = Kubectl(kubectl_program(), tmp_path / "kubeconfig", wait_s, 0.05, False, environment)
        daemon = with_variables(
            _rendered("daemon/kubernetes/base", DAEMON, NAMESPACE), MONOBASE_MIN_GEN_ID="3"
        )
        (model,) = _rendered("runtime/kubernetes/model", "monobase-runtime", None)
        chart = [manifest for manifest in daemon if manifest["kind"] != "Namespace"]
        yield Subject(kubectl, NAMESPACE, daemon, chart, model, "2.13.0", generation=3, older=2)


def _run(
    cluster: Cluster,
    tmp_path: Path,
    steps: Sequence[Step] = STEPS,
    *,
    keep: bool = False,
    wait_s: float = 120.0,
) -> list[Result]:
    for number in range(2):
        cluster.add_node(f"node-{number}", "4")
    with _subject(cluster, tmp_path, wait_s) as subject:
        return run_steps(subject, steps, keep, lambda _name: None)


def _left(cluster: Cluster) -> list[tuple[str, str, str]]:
    return [key for key in cluster.objects if key[0] != "nodes"]


def test_a_cluster_that_does_all_passes_and_is_left_as_it_was(tmp_path: Path) -> None:
    cluster = Cluster()
    results = _run(cluster, tmp_path)
    assert [(result.name, result.verdict) for result in results] == [
        (name, "passed") for name in [*NAMES, "clean up"]
    ], report(results)
    assert _left(cluster) == []
    assert not any(node.get("spec", {}).get("unschedulable") for node in cluster.of("nodes"))


@pytest.mark.parametrize(
    ("fault", "steps", "found"),
    [
        ("no daemon", [the_daemon], "0 of 2 nodes are ready; no events"),
        ("another torch", [a_model_before_the_daemon, the_daemon, the_waiting_model], "without '2.13.0'"),
        ("writes", [the_daemon, a_second_apply], "a second apply changed Namespace/monobase-conformance"),
        (
            "no priority",
            [a_model_before_the_daemon, the_daemon, a_full_node],
            "the daemon of each node is ready: not after 5 s: 1 of 2 nodes are ready",
        ),
        (
            "prunes",
            [the_daemon, pruning_under_a_lease],
            "says: g00002 is older than --min-gen-id and stays: a model has leased it: not after",
        ),
        ("keeps", [the_daemon, pruning_under_a_lease], "says: pruned g00002: not after"),
        ("drops", [the_daemon, a_drained_node], "is gone from the drained node"),
    ],
)
def test_a_fault_is_found_by_its_step_and_the_cluster_is_left_as_it_was(
    tmp_path: Path, fault: str, steps: list[Step], found: str
) -> None:
    cluster = Cluster(frozenset({fault}))
    wait_s = 5.0 if fault in ("no daemon", "no priority", "prunes", "keeps") else 120.0
    results = _run(cluster, tmp_path, [*steps, uninstalled], wait_s=wait_s)
    *before, failed, after, clean_up = results
    assert (failed.verdict, found in failed.note) == ("failed", True), report(results)
    assert {result.verdict for result in before} <= {"passed"}
    assert (after.verdict, clean_up.verdict) == ("not run", "passed")
    assert _left(cluster) == []


def test_after_a_failure_all_can_be_kept_to_look_at_it(tmp_path: Path) -> None:
    cluster = Cluster(frozenset({"no daemon"}))
    results = _run(cluster, tmp_path, [the_daemon], keep=True, wait_s=5.0)
    assert [result.verdict for result in results] == ["failed"]
    assert ("daemonsets", NAMESPACE, DAEMON) in cluster.objects


def test_the_report_is_a_table() -> None:
    results = [Result("a", "passed", 1.4, "x\ny | z"), Result("b", "not run")]
    assert report(results).splitlines()[2:] == ["| a | passed | 1 | x y \\| z |", "| b | not run | 0 |  |"]


@pytest.mark.parametrize(("quantity", "number"), [("100m", 0.1), ("2", 2), ("1500m", 1.5), ("0.5", 0.5)])
def test_processors_are_numbers(quantity: str, number: float) -> None:
    assert float(cpus(quantity)) == number
