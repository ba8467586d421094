"""The steps of a conformance run, in order; each takes the cluster as the one before has left it."""

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tests.cluster.kubectl import Kubectl, Manifest, StepError

DAEMON = "monobase-daemon"
_MODELS = "monobase-conformance-models"
# The run's own class: below all others, so that the pods which fill a node go first, and nobody else's.
_FILLERS = "monobase-conformance-filler"
# Classes that the run makes, and deletes.
PRIORITY_CLASSES = (DAEMON, _FILLERS)
_FILLER_IMAGE = "registry.k8s.io/pause:3.10"
_IMPORTED = "imported"
_ROUND = "monobase.conformance/round"


@dataclass(frozen=True, slots=True)
class Subject:
    """The objects to try, and the cluster to try them on.

    Attributes:
        kubectl: The cluster.
        namespace: Namespace of the daemon.
        daemon: Objects of the daemon, as a release has them.
        chart: The same, rendered from the chart; empty without Helm.
        model: Pod of a model that prints the version of its Torch and ends.
        says: What the model prints.
        generation: The generation that the daemon installs, and the model runs on.
        older: One that has the model's environment as well, and is pruned; None for none.
    """

    kubectl: Kubectl
    namespace: str
    daemon: list[Manifest]
    chart: list[Manifest]
    model: Manifest
    says: str
    generation: int
    older: int | None = None


Step = Callable[[Subject], str]


def a_model_before_the_daemon(subject: Subject) -> str:
    """A model waits, without an error, while its node has no daemon."""
    labels = {f"pod-security.kubernetes.io/{mode}": "privileged" for mode in ("enforce", "audit", "warn")}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _MODELS, "labels": labels}}
    subject.kubectl.apply([namespace, _model(subject, "before")])
    pod = _pod(subject, "before")
    phase = str(pod.get("status", {}).get("phase", "Pending"))
    if phase == "Failed":
        raise StepError(f"the model has the phase {phase}, and should wait{_why(pod)}")
    return f"the model is {phase}"


def the_daemon(subject: Subject) -> str:
    """The daemon of each node gets ready."""
    subject.kubectl.apply(subject.daemon)
    return _wait_ready(subject)


def the_waiting_model(subject: Subject) -> str:
    """The model that came first finds its environment, and so does a new one."""
    subject.kubectl.apply([_model(subject, "after")])
    for name in ("before", "after"):
        _wait_phase(subject, name, "Succeeded")
        log = subject.kubectl.run("logs", name, f"--namespace={_MODELS}")
        if subject.says not in log:
            raise StepError(f"the model {name} printed {log!r}, without {subject.says!r}")
    return f"both printed {subject.says}"


def a_second_apply(subject: Subject) -> str:
    """Applying the same objects again changes none."""
    before = _versions(subject)
    subject.kubectl.apply(subject.daemon)
    changed = [name for name, version in _versions(subject).items() if before[name] != version]
    if changed:
        raise StepError(f"a second apply changed {', '.join(changed)}")
    return f"{len(before)} objects unchanged"


def a_full_node(subject: Subject) -> str:
    """On a node without room, the daemon preempts a model."""
    (daemon, *_) = _daemons(subject)
    node = daemon["spec"]["nodeName"]
    free_cpu = _free_cpu(subject, node)
    resources = {"requests": {"cpu": f"{int(free_cpu * 1000)}m"}}
    subject.kubectl.apply([_filler_class(), _filler(node, resources)])
    _wait_phase(subject, "filler", "Running")
    # The second one takes the room of the daemon as soon as that is free, as waiting models do.
    waiting = copy.deepcopy(_filler(node, {"requests": {"cpu": _requests(daemon)}}))
    waiting["metadata"]["name"] = "waiting"
    subject.kubectl.apply([waiting])
    subject.kubectl.delete("pod", daemon["metadata"]["name"], f"--namespace={subject.namespace}")
    note = _wait_ready(subject)
    subject.kubectl.delete("pod", "filler", "waiting", f"--namespace={_MODELS}")
    return note


def an_update_under_a_model(subject: Subject) -> str:
    """A rolling update leaves a model alone that imports all the time."""
    subject.kubectl.apply([_importing(_model(subject, "busy"))])
    _wait_imports(subject, "busy", 1)
    subject.kubectl.apply(_changed(subject.daemon, "update"))
    note = _wait_ready(subject)
    _wait_imports(subject, "busy", _imports(subject, "busy") + 1)
    subject.kubectl.delete("pod", "busy", f"--namespace={_MODELS}")
    return note


def pruning_under_a_lease(subject: Subject) -> str:
    """Pruning keeps the generation that a model has leased, and removes it when the model has gone."""
    if subject.older is None:
        return "skipped: no older generation was named"
    old, name = f"g{subject.older:05}", "leasing"
    subject.kubectl.apply(with_variables(subject.daemon, MONOBASE_MIN_GEN_ID=str(subject.older)))
    _wait_ready(subject)
    model = with_variables([_importing(_model(subject, name))], MONOBASE_GEN_ID=str(subject.older))
    subject.kubectl.apply(model)
    _wait_imports(subject, name, 1)
    subject.kubectl.apply(with_variables(subject.daemon, MONOBASE_PRUNE_OLD_GEN="true"))
    _wait_ready(subject)
    node = str(_pod(subject, name)["spec"]["nodeName"])
    kept = f"{old} is older than --min-gen-id and stays: a model has leased it"
    _wait_said(subject, node, kept, lambda line: str(line.get("message", "")).startswith(kept))
    _wait_imports(subject, name, _imports(subject, name) + 1)
    subject.kubectl.delete("pod", name, f"--namespace={_MODELS}")
    gone = f"pruned {old}"
    _wait_said(
        subject, node, gone, lambda line: line.get("stage") == "prune" and old in line.get("generations", ())
    )
    subject.kubectl.apply(subject.daemon)
    _wait_ready(subject)
    return f"{node} kept {old} until its model had gone"


def a_drained_node(subject: Subject) -> str:
    """A drained node keeps its daemon."""
    cordoned = {
        node["metadata"]["name"]
        for node in subject.kubectl.items("nodes")
        if node.get("spec", {}).get("unschedulable")
    }
    places = {daemon["spec"].get("nodeName"): daemon["metadata"]["name"] for daemon in _daemons(subject)}
    # A node that somebody has cordoned is not made schedulable.
    found = next(((node, name) for node, name in places.items() if node and node not in cordoned), None)
    if found is None:
        return "skipped: somebody has cordoned each node with a daemon"
    node, name = found
    selected = [f"--pod-selector=monobase.conformance={_MODELS}"]
    try:
        options = ["--ignore-daemonsets", "--force", "--delete-emptydir-data", *selected]
        subject.kubectl.run("drain", node, *options)
        if name not in [found["metadata"]["name"] for found in _daemons(subject)]:
            raise StepError(f"the daemon {name} is gone from the drained node {node}")
    finally:
        subject.kubectl.run("uncordon", node)
    return f"{node} kept {name}"


def the_way_back(subject: Subject) -> str:
    """Applying the former objects goes back."""
    subject.kubectl.apply(subject.daemon)
    note = _wait_ready(subject)
    annotations = _daemon_set(subject)["spec"]["template"]["metadata"].get("annotations", {})
    if _ROUND in annotations:
        raise StepError("the pods still have the annotation of the update")
    return note


def uninstalled(subject: Subject) -> str:
    """Nothing is left when namespace and priority are deleted."""
    _delete_namespace(subject, subject.namespace)
    subject.kubectl.delete("priorityclass", DAEMON)
    if left := _daemons(subject):
        raise StepError(f"{len(left)} pods are left")
    return "namespace and priority are gone"


def the_chart(subject: Subject) -> str:
    """The objects that Helm renders get ready as well."""
    if not subject.chart:
        return "skipped: Helm is not installed"
    (namespace,) = [item for item in subject.daemon if item["kind"] == "Namespace"]
    subject.kubectl.apply([namespace, *subject.chart])
    return _wait_ready(subject)


def clean_up(subject: Subject) -> str:
    """Delete all that the steps have made in the cluster; what is installed on the nodes stays."""
    faults = []
    for namespace in (_MODELS, subject.namespace):
        try:
            _delete_namespace(subject, namespace)
        except StepError as error:
            faults.append(str(error))
    for name in PRIORITY_CLASSES:
        try:
            subject.kubectl.delete("priorityclass", name)
        except StepError as error:
            faults.append(str(error))
    if faults:
        raise StepError("; ".join(faults))
    return "nothing is left in the cluster"


def refuse_existing(kubectl: Kubectl, namespace: str) -> None:
    """Refuse a cluster that has objects with the names of the run, which would be changed and deleted.

    Args:
        kubectl: The cluster.
        namespace: The namespace of the run's daemon.

    Raises:
        StepError: It has, or does not answer.
    """
    for name in (namespace, _MODELS):
        if kubectl.get("namespace", name) is not None:
            raise StepError(
                f"the cluster has the namespace {name}; if it is of an earlier run, delete it: "
                f"kubectl delete namespace {name}"
            )
    for name in PRIORITY_CLASSES:
        if kubectl.get("priorityclass", name) is not None:
            raise StepError(
                f"the cluster has the PriorityClass {name}: name a cluster without Monobase, or, if it is "
                f"of an earlier run, delete it: kubectl delete priorityclass {name}"
            )
    fields = f"--field-selector=metadata.name={DAEMON}"
    if found := kubectl.items("daemonsets", "--all-namespaces", fields):
        other = found[0]["metadata"].get("namespace")
        raise StepError(f"the cluster has Monobase in the namespace {other}; name one that has not")


def _delete_namespace(subject: Subject, name: str) -> None:
    """Delete a namespace, and wait until it is gone; if it stays, say what holds it."""
    try:
        subject.kubectl.delete("namespace", name)
    except StepError as error:
        found = subject.kubectl.get("namespace", name)
        if found is None:
            return
        conditions = found.get("status", {}).get("conditions", ())
        held = [str(item.get("message")) for item in conditions if item.get("status") == "True"]
        text = f"{error}; {'; '.join(held) or 'no condition says why'}"
        raise StepError(f"the namespace {name} is still there: {text}") from error


STEPS: tuple[Step, ...] = (
    a_model_before_the_daemon,
    the_daemon,
    the_waiting_model,
    a_second_apply,
    a_full_node,
    an_update_under_a_model,
    pruning_under_a_lease,
    a_drained_node,
    the_way_back,
    uninstalled,
    the_chart,
)


def _model(subject: Subject, name: str) -> Manifest:
    model = copy.deepcopy(subject.model)
    labels = {**model["metadata"].get("labels", {}), "monobase.conformance": _MODELS}
    model["metadata"] |= {"name": name, "namespace": _MODELS, "labels": labels}
    return model


def _importing(model: Manifest) -> Manifest:
    """Make a model import Torch again and again, and print a line for each time."""
    (container,) = model["spec"]["containers"]
    container["args"] = ["sh", "-c", f"while python -c 'import torch'; do echo {_IMPORTED}; done"]
    return model


def with_variables(manifests: list[Manifest], **values: str) -> list[Manifest]:
    """Return manifests with other values of some variables of their pods.

    Args:
        manifests: Manifests of objects; those without pods are left as they are.
        **values: The variables.
    """
    changed = copy.deepcopy(manifests)
    for manifest in changed:
        if manifest["kind"] in ("DaemonSet", "Pod"):
            pod = manifest["spec"]["template"] if manifest["kind"] == "DaemonSet" else manifest
            (container, *_) = pod["spec"]["containers"]
            others = [item for item in container.get("env", []) if item["name"] not in values]
            container["env"] = [*others, *({"name": name, "value": value} for name, value in values.items())]
    return changed


def _filler_class() -> Manifest:
    """Return the PriorityClass of the pods that only take room: the lowest, and it preempts nobody."""
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": _FILLERS},
        "value": -1_000_000_000,
        "preemptionPolicy": "Never",
        "description": "Pods of Monobase's conformance run that fill a node.",
    }


def _filler(node: str, resources: Mapping[str, Any]) -> Manifest:
    """Return a Pod that only takes room, on one node, by the scheduler's decision."""
    fields = [{"key": "metadata.name", "operator": "In", "values": [node]}]
    required = {"nodeSelectorTerms": [{"matchFields": fields}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "filler",
            "namespace": _MODELS,
            "labels": {"monobase.conformance": _MODELS},
        },
        "spec": {
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}},
            "priorityClassName": _FILLERS,
            "tolerations": [{"operator": "Exists"}],
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "filler", "image": _FILLER_IMAGE, "resources": dict(resources)}],
        },
    }


def _changed(manifests: list[Manifest], round_name: str) -> list[Manifest]:
    changed = copy.deepcopy(manifests)
    for manifest in changed:
        if manifest["kind"] == "DaemonSet":
            manifest["spec"]["template"]["metadata"].setdefault("annotations", {})[_ROUND] = round_name
    return changed


def _wait_ready(subject: Subject) -> str:
    nodes = 0

    def look() -> str:
        nonlocal nodes
        found = _daemon_set(subject)
        status, generation = found.get("status", {}), found["metadata"].get("generation", 0)
        nodes = status.get("desiredNumberScheduled", 0)
        if not nodes and status.get("observedGeneration", 0) >= generation:
            raise StepError(
                "no node of the cluster takes the daemon: it asks for Linux on amd64 or arm64, and tolerates "
                f"only the taint nvidia.com/gpu; the nodes: {_nodes(subject)}"
            )
        ready = min(status.get("numberReady", 0), status.get("updatedNumberScheduled", 0))
        if nodes and ready == nodes and status.get("observedGeneration", 0) >= generation:
            return ""
        return f"{ready} of {nodes} nodes are ready; {_reasons(subject)}"

    subject.kubectl.wait("the daemon of each node is ready", look)
    return f"ready on {nodes} nodes"


def _reasons(subject: Subject) -> str:
    """Return what the newest events of the daemon's pods say."""
    events = subject.kubectl.items("events", f"--namespace={subject.namespace}")
    events.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    return "; ".join(str(event.get("message", "")).strip() for event in events[-3:]) or "no events"


def _nodes(subject: Subject) -> str:
    """Return each node with its taints."""
    texts = []
    for node in subject.kubectl.items("nodes"):
        taints = [str(taint["key"]) for taint in node.get("spec", {}).get("taints", ())]
        texts.append(f"{node['metadata']['name']} ({', '.join(taints) or 'no taint'})")
    return ", ".join(texts) or "none"


def _wait_phase(subject: Subject, name: str, phase: str) -> None:
    def look() -> str:
        pod = _pod(subject, name)
        found = str(pod.get("status", {}).get("phase", "Pending"))
        if found in ("Succeeded", "Failed") and found != phase:
            raise StepError(f"the pod {name} has the phase {found}, not {phase}{_why(pod)}")
        return "" if found == phase else f"it is {found}{_why(pod)}"

    subject.kubectl.wait(f"the pod {name} is {phase}", look)


def _why(pod: Manifest) -> str:
    """Return what a pod's status says of itself and of its containers, such as `Evicted`."""
    status = pod.get("status", {})
    states = [
        state
        for container in status.get("containerStatuses", ())
        for state in container.get("state", {}).values()
    ]
    unscheduled = [
        condition
        for condition in status.get("conditions", ())
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False"
    ]
    texts = [
        " ".join(str(part[key]).strip() for key in ("reason", "message") if part.get(key))
        for part in (status, *states, *unscheduled)
    ]
    return "".join(f"; {text}" for text in texts if text)


def _imports(subject: Subject, name: str) -> int:
    """Return how often a model has imported Torch, which must be running."""
    pod = _pod(subject, name)
    phase = str(pod.get("status", {}).get("phase", "Pending"))
    if phase not in ("Pending", "Running"):
        raise StepError(f"the model {name}, which imports, has the phase {phase}{_why(pod)}")
    if phase == "Pending":
        return 0
    return subject.kubectl.run("logs", name, f"--namespace={_MODELS}").split().count(_IMPORTED)


def _wait_imports(subject: Subject, name: str, number: int) -> None:
    def look() -> str:
        found = _imports(subject, name)
        return "" if found >= number else f"{found} times"

    subject.kubectl.wait(f"the model {name} has imported {number} times", look)


def _wait_said(subject: Subject, node: str, what: str, is_it: Callable[[Mapping[str, Any]], bool]) -> None:
    """Wait until the daemon of a node has said something."""

    def look() -> str:
        names = [pod["metadata"]["name"] for pod in _daemons(subject) if pod["spec"].get("nodeName") == node]
        lines: list[str] = []
        for name in names:
            lines += subject.kubectl.run("logs", name, f"--namespace={subject.namespace}").splitlines()
        said = [json.loads(line) for line in lines if line.startswith("{")]
        return "" if any(map(is_it, said)) else f"its last line is {(lines or ['none'])[-1]}"

    subject.kubectl.wait(f"the daemon of {node} says: {what}", look)


def _pod(subject: Subject, name: str) -> Manifest:
    found = subject.kubectl.get("pod", name, f"--namespace={_MODELS}")
    if found is None:
        raise StepError(f"the pod {name} is gone")
    return found


def _daemon_set(subject: Subject) -> Manifest:
    found = subject.kubectl.get("daemonset", DAEMON, f"--namespace={subject.namespace}")
    if found is None:
        raise StepError(f"there is no DaemonSet {DAEMON} in {subject.namespace}")
    return found


def _daemons(subject: Subject) -> list[Manifest]:
    selector = f"--selector=app.kubernetes.io/name={DAEMON}"
    return subject.kubectl.items("pods", f"--namespace={subject.namespace}", selector)


def _versions(subject: Subject) -> dict[str, str]:
    """Return the generation of each applied object, or its version if it has none."""
    found = {}
    for current in subject.kubectl.named(subject.daemon):
        metadata = current["metadata"]
        # Controllers write status, which changes the version, but not the generation.
        version = metadata.get("generation", metadata["resourceVersion"])
        found[f"{current['kind']}/{metadata['name']}"] = str(version)
    return found


def _requests(pod: Manifest) -> str:
    (container, *_) = pod["spec"]["containers"]
    return str(container["resources"]["requests"]["cpu"])


def _free_cpu(subject: Subject, node: str) -> Fraction:
    """Return the processors of a node that no pod requests."""
    found = subject.kubectl.get("node", node)
    if found is None:
        raise StepError(f"the node {node} is gone")
    free = cpus(found["status"]["allocatable"]["cpu"])
    for pod in subject.kubectl.items("pods", "--all-namespaces", f"--field-selector=spec.nodeName={node}"):
        if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
            for container in pod["spec"]["containers"]:
                free -= cpus(container.get("resources", {}).get("requests", {}).get("cpu", "0"))
    return max(free, Fraction(0))


def cpus(quantity: str) -> Fraction:
    """Return a quantity of processors, such as `100m`, as a number."""
    return Fraction(quantity[:-1]) / 1000 if quantity.endswith("m") else Fraction(quantity)
