"""The conformance run, with the real kubectl and a scripted API server: each step finds its fault."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from tests.cluster.conformance import Result, report, run_steps
from tests.cluster.kubectl import Kubectl, Manifest, StepError
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
    refuse_existing,
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
        (
            "evicted",
            [a_model_before_the_daemon, the_daemon, the_waiting_model],
            "has the phase Failed, not Succeeded; Evicted The node was low on resource: memory.",
        ),
        ("no image", [a_model_before_the_daemon, the_daemon], "0 of 2 nodes are ready"),
        ("forbidden", [the_daemon], "(Forbidden): you may not"),
    ],
)
def test_a_fault_is_found_by_its_step_and_the_cluster_is_left_as_it_was(
    tmp_path: Path, fault: str, steps: list[Step], found: str
) -> None:
    cluster = Cluster(frozenset({fault}))
    wait_s = 5.0 if fault in ("no daemon", "no priority", "prunes", "keeps", "no image") else 120.0
    results = _run(cluster, tmp_path, [*steps, uninstalled], wait_s=wait_s)
    *before, failed, after, clean_up = results
    assert (failed.verdict, found in failed.note) == ("failed", True), report(results)
    assert {result.verdict for result in before} <= {"passed"}
    # Who may not write an object may not delete it.
    assert (after.verdict, clean_up.verdict) == ("not run", "failed" if fault == "forbidden" else "passed")
    assert _left(cluster) == []


def test_what_a_pod_waits_for_is_in_the_report(tmp_path: Path) -> None:
    cluster = Cluster(frozenset({"no image"}))
    (result, _) = _run(cluster, tmp_path, [_waits_for_a_model], wait_s=5.0)
    assert 'it is Pending; ImagePullBackOff Back-off pulling image "registry.example/x"' in result.note


def _waits_for_a_model(subject: Subject) -> str:
    """The step of the waiting model alone, on a node that has had a daemon."""
    subject.kubectl.apply(subject.daemon)
    a_model_before_the_daemon(subject)
    return the_waiting_model(subject)


def test_a_cluster_without_a_node_for_the_daemon_is_named_at_once(tmp_path: Path) -> None:
    cluster = Cluster()
    with _subject(cluster, tmp_path, 120.0) as subject:
        (result, clean_up) = run_steps(subject, [the_daemon], False, lambda _name: None)
    assert "no node of the cluster takes the daemon" in result.note
    assert "the nodes: none" in result.note
    assert clean_up.verdict == "passed"


@pytest.mark.parametrize("status", [410, 429, 500, 503, 504])
def test_an_api_server_that_is_busy_for_a_while_is_asked_again(tmp_path: Path, status: int) -> None:
    cluster = Cluster()
    cluster.refusals = [status] * 3
    results = _run(cluster, tmp_path, [a_model_before_the_daemon, the_daemon, a_second_apply])
    assert {result.verdict for result in results} == {"passed"}, report(results)
    assert cluster.refusals == []


def test_an_api_server_that_stays_broken_ends_the_run_with_its_words(tmp_path: Path) -> None:
    cluster = Cluster()
    cluster.refusals = [500] * 1000
    (result, clean_up) = _run(cluster, tmp_path, [the_daemon])
    assert (result.verdict, clean_up.verdict) == ("failed", "failed")
    assert "(InternalError): an error on the server" in result.note


def test_a_namespace_that_stays_is_reported_with_what_holds_it_and_the_rest_is_deleted(
    tmp_path: Path,
) -> None:
    cluster = Cluster(frozenset({"terminating"}))
    *_, clean_up = _run(cluster, tmp_path, [a_model_before_the_daemon, the_daemon], wait_s=2.0)
    assert clean_up.verdict == "failed"
    assert f"the namespace {NAMESPACE} is still there" in clean_up.note
    assert "a finalizer remains" in clean_up.note
    assert "priorityclasses" not in {resource for resource, _, _ in cluster.objects}


class _Interrupting(Kubectl):
    """A kubectl during which Ctrl-C is pressed at the second call."""

    calls: ClassVar[list[tuple[str, ...]]] = []

    def run(self, *arguments: str, text: str = "") -> str:
        self.calls.append(arguments)
        if len(self.calls) == 2:
            raise KeyboardInterrupt
        return super().run(*arguments, text=text)


@pytest.mark.parametrize("name", NAMES)
def test_an_interruption_of_a_step_ends_the_run_and_cleans_up(tmp_path: Path, name: str) -> None:
    number = NAMES.index(name)

    def interrupted(subject: Subject) -> str:
        _Interrupting.calls.clear()
        old = subject.kubectl
        kubectl = _Interrupting(
            old.program, old.kubeconfig, old.wait_s, old.pause_s, old.validates, old.environment
        )
        return STEPS[number](replace(subject, kubectl=kubectl))

    cluster = Cluster()
    results = _run(cluster, tmp_path, [*STEPS[:number], interrupted, *STEPS[number + 1 :]])
    assert [result.verdict for result in results] == [
        *["passed"] * number, "failed", *["not run"] * (len(STEPS) - number - 1), "passed"
    ], report(results)  # fmt: skip
    assert results[number].note == "interrupted"
    assert _left(cluster) == []
    assert not any(node.get("spec", {}).get("unschedulable") for node in cluster.of("nodes"))


def test_a_fault_of_the_run_itself_is_cleaned_up_after_as_well(tmp_path: Path) -> None:
    def broken(subject: Subject) -> str:
        subject.kubectl.apply(subject.daemon)
        raise LookupError("daemon")

    cluster = Cluster()
    (result, clean_up) = _run(cluster, tmp_path, [broken])
    assert (result.note, clean_up.verdict) == ("internal error: LookupError('daemon')", "passed")
    assert _left(cluster) == []


def test_pods_of_others_keep_their_place_on_a_full_node(tmp_path: Path) -> None:
    cluster = Cluster()
    container = {"name": "a", "image": "a", "resources": {"requests": {"cpu": "1"}}}
    other = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a"},
        "spec": {"containers": [container]},
    }
    cluster.put("pods", "others", "a", other)
    results = _run(cluster, tmp_path, [a_model_before_the_daemon, the_daemon, a_full_node])
    assert {result.verdict for result in results} == {"passed"}, report(results)
    assert [key for key in cluster.objects if key[1] == "others"] == [("pods", "others", "a")]


def test_a_node_that_somebody_has_cordoned_stays_so(tmp_path: Path) -> None:
    cluster = Cluster()
    cluster.add_node("node-a", "4")
    cluster.objects["nodes", "", "node-a"]["spec"] = {"unschedulable": True}
    with _subject(cluster, tmp_path, 120.0) as subject:
        results = run_steps(subject, [the_daemon, a_drained_node], False, lambda _name: None)
    assert results[1].note == "skipped: somebody has cordoned each node with a daemon"
    assert cluster.objects["nodes", "", "node-a"]["spec"]["unschedulable"]


@pytest.mark.parametrize(
    ("resource", "namespace", "name", "found"),
    [
        ("namespaces", "", NAMESPACE, f"kubectl delete namespace {NAMESPACE}"),
        ("namespaces", "", "monobase-conformance-models", "has the namespace monobase-conformance-models"),
        ("priorityclasses", "", DAEMON, f"kubectl delete priorityclass {DAEMON}"),
        ("daemonsets", "tools", DAEMON, "has Monobase in the namespace tools"),
    ],
)
def test_a_cluster_that_has_objects_of_these_names_is_refused(
    tmp_path: Path, resource: str, namespace: str, name: str, found: str
) -> None:
    kinds = {
        "namespaces": ("v1", "Namespace"),
        "priorityclasses": ("scheduling.k8s.io/v1", "PriorityClass"),
        "daemonsets": ("apps/v1", "DaemonSet"),
    }
    cluster = Cluster()
    version, kind = kinds[resource]
    manifest: Manifest = {"apiVersion": version, "kind": kind, "metadata": {"name": name}}
    if kind == "DaemonSet":
        labels = {"app": "a"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
        manifest["spec"] = {"selector": {"matchLabels": labels}, "template": template}
    cluster.put(resource, namespace, name, manifest)
    with _subject(cluster, tmp_path, 120.0) as subject, pytest.raises(StepError, match=found):
        refuse_existing(subject.kubectl, NAMESPACE)


def test_a_cluster_without_them_is_not_refused(tmp_path: Path) -> None:
    with _subject(Cluster(), tmp_path, 120.0) as subject:
        refuse_existing(subject.kubectl, NAMESPACE)


def test_a_kubectl_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    kubectl = Kubectl(str(tmp_path / "kubectl"), tmp_path, 1.0, 0.05, False, {})
    with pytest.raises(StepError, match="kubectl: cannot be started: No such file"):
        kubectl.run("version")


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
