"""A scripted API server of Kubernetes: real enough for kubectl, with controllers that act at once.

It keeps objects without their empty fields, schedules pods by priority and requests, and runs them in name
only. It stands for a cluster in the tests of the conformance run, not for Kubernetes: whether Monobase works
is for a real cluster to say.
"""

import copy
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.cluster.steps import cpus
from tools.deploy.server_changes import as_stored

Manifest = dict[str, Any]
_CORE = {
    "namespaces": ("Namespace", False),
    "nodes": ("Node", False),
    "pods": ("Pod", True),
    "events": ("Event", True),
    "serviceaccounts": ("ServiceAccount", True),
}
_GROUPS: Mapping[str, Mapping[str, tuple[str, bool]]] = {
    "": _CORE,
    "apps": {"daemonsets": ("DaemonSet", True)},
    "scheduling.k8s.io": {"priorityclasses": ("PriorityClass", False)},
}
_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
_SAYS = "2.13.0 False\n"
# Reason and message of an answer with a status.
_REASONS = {
    403: ("Forbidden", "you may not"),
    404: ("NotFound", "not found"),
    410: ("Expired", "too old resource version"),
    429: ("TooManyRequests", "the server is busy"),
    500: ("InternalError", "an error on the server"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "the request timed out"),
}


@dataclass(slots=True)
class Cluster:
    """The state of a scripted cluster.

    Attributes:
        faults: What goes wrong: `no priority`, `no daemon`, `another torch`, `drops`, `writes`,
            `prunes` (what a model has leased), `keeps` (what no model has leased any more), `evicted`,
            `no image`, `terminating` (namespaces stay) and `forbidden` (to write priority classes).
        objects: Its objects by resource, namespace and name.
        refusals: Statuses to answer the next requests with, in this order, but not requests for discovery.
    """

    faults: frozenset[str] = frozenset()
    objects: dict[tuple[str, str, str], Manifest] = field(default_factory=dict)
    refusals: list[int] = field(default_factory=list)
    _version: int = 0
    _installed: set[str] = field(default_factory=set)
    _imports: dict[str, int] = field(default_factory=dict)

    def add_node(self, name: str, cpu: str) -> None:
        """Add a node."""
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {}}
        self.put("nodes", "", name, node | {"status": {"allocatable": {"cpu": cpu}}})

    def put(self, resource: str, namespace: str, name: str, manifest: Manifest) -> Manifest:
        """Create or replace an object; nothing changes if it is the same."""
        old = self.objects.get((resource, namespace, name))
        new: Manifest = as_stored(copy.deepcopy(manifest))
        metadata = new.setdefault("metadata", {})
        if namespace:
            metadata["namespace"] = namespace
        if old is not None:
            new.setdefault("status", old.get("status", {}))
            for key in ("uid", "resourceVersion", "generation", "creationTimestamp"):
                metadata[key] = old["metadata"][key]
        if old is None or old != new or "writes" in self.faults:
            self._version += 1
            metadata["resourceVersion"] = str(self._version)
            changed = old is None or old.get("spec") != new.get("spec") or "writes" in self.faults
            metadata["generation"] = metadata.get("generation", 0) + int(changed)
            metadata.setdefault("uid", f"uid-{self._version}")
            metadata.setdefault("creationTimestamp", "2026-11-26T00:00:00Z")
        self.objects[resource, namespace, name] = new
        return new

    def remove(self, resource: str, namespace: str, name: str) -> Manifest | None:
        """Delete an object; a namespace with all that is in it."""
        if resource == "namespaces" and "terminating" in self.faults:
            return self._terminating(name)
        if resource == "namespaces":
            for key in [key for key in self.objects if key[1] == name]:
                del self.objects[key]
        return self.objects.pop((resource, namespace, name), None)

    def _terminating(self, name: str) -> Manifest | None:
        """Mark a namespace as one that a finalizer holds."""
        found = self.objects.get(("namespaces", "", name))
        if found is not None:
            held = {
                "type": "NamespaceFinalizersRemaining",
                "status": "True",
                "message": "a finalizer remains",
            }
            found["status"] = {"phase": "Terminating", "conditions": [held]}
        return found

    def of(self, resource: str) -> list[Manifest]:
        """Return all objects of a resource."""
        return [manifest for (found, _, _), manifest in list(self.objects.items()) if found == resource]

    def settle(self) -> None:
        """Run the controllers until nothing is left for them to do."""
        for daemon_set in self.of("daemonsets"):
            self._make_pods(daemon_set)
        waiting = [pod for pod in self.of("pods") if not pod["spec"].get("nodeName")]
        for pod in sorted(waiting, key=lambda pod: -self._priority(pod)):
            self._schedule(pod)
        # The daemons first: a model starts on the folder that the daemon of its node has made.
        for pod in sorted(self.of("pods"), key=lambda pod: "ownerReferences" not in pod["metadata"]):
            self._start(pod)
        for daemon_set in self.of("daemonsets"):
            self._count(daemon_set)

    def _make_pods(self, daemon_set: Manifest) -> None:
        template, metadata = daemon_set["spec"]["template"], daemon_set["metadata"]
        for node in [] if "no daemon" in self.faults else self.of("nodes"):
            revision, place = str(metadata["generation"]), node["metadata"]["name"]
            owned = [pod for pod in self._pods_of(daemon_set) if _place(pod) == place]
            for pod in owned:
                if pod["metadata"]["annotations"]["revision"] != revision:
                    self.remove("pods", metadata["namespace"], pod["metadata"]["name"])
            if any(pod["metadata"]["annotations"]["revision"] == revision for pod in owned):
                continue
            name = f"{metadata['name']}-{self._version + 1}"
            owner = {key: metadata[key] for key in ("name", "uid")} | {
                "apiVersion": "apps/v1", "kind": "DaemonSet", "controller": True,
            }  # fmt: skip
            pod = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name,
                    "labels": template["metadata"]["labels"],
                    "annotations": {"place": place, "revision": revision},
                    "ownerReferences": [owner],
                },
                "spec": copy.deepcopy(template["spec"]),
            }
            self.put("pods", metadata["namespace"], name, pod)

    def _pods_of(self, daemon_set: Manifest) -> list[Manifest]:
        uid = daemon_set["metadata"]["uid"]
        return [
            pod
            for pod in self.of("pods")
            if any(owner["uid"] == uid for owner in pod["metadata"].get("ownerReferences", ()))
        ]

    def _priority(self, pod: Manifest) -> int:
        key = ("priorityclasses", "", pod["spec"].get("priorityClassName", ""))
        return 0 if "no priority" in self.faults else int(self.objects.get(key, {}).get("value", 0))

    def _schedule(self, pod: Manifest) -> None:
        for node in self.of("nodes"):
            name = node["metadata"]["name"]
            if _place(pod) not in (name, None):
                continue
            others = [other for other in self.of("pods") if other["spec"].get("nodeName") == name]
            running = [other for other in others if other.get("status", {}).get("phase") != "Succeeded"]
            free = cpus(node["status"]["allocatable"]["cpu"]) - sum(map(_cpu, running))
            for victim in sorted(running, key=self._priority):
                if free >= _cpu(pod) or self._priority(victim) >= self._priority(pod):
                    break
                self.remove("pods", victim["metadata"]["namespace"], victim["metadata"]["name"])
                free += _cpu(victim)
            if free >= _cpu(pod):
                pod["spec"]["nodeName"] = name
                return

    def _start(self, pod: Manifest) -> None:
        node = pod["spec"].get("nodeName")
        volumes = pod["spec"].get("volumes", ())
        kinds = [volume["hostPath"].get("type") for volume in volumes if "hostPath" in volume]
        if node is None or ("Directory" in kinds and node not in self._installed):
            return
        if "DirectoryOrCreate" in kinds:
            self._installed.add(node)
        if "ownerReferences" not in pod["metadata"] and "evicted" in self.faults:
            reason = "The node was low on resource: memory."
            pod["status"] = {"phase": "Failed", "reason": "Evicted", "message": reason}
            return
        if "no image" in self.faults:
            waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "registry.example/x"'}
            pod["status"] = {"phase": "Pending", "containerStatuses": [{"state": {"waiting": waiting}}]}
            return
        pod["status"] = {"phase": "Succeeded" if "print(" in _args(pod) else "Running"}

    def log_of(self, pod: Manifest) -> str:
        """Return what a pod has printed until now."""
        if "ownerReferences" in pod["metadata"]:
            return "".join(f"{json.dumps(line)}\n" for line in self._said_by_daemon(pod))
        if "print(" in _args(pod):
            return "1.0.0\n" if "another torch" in self.faults else _SAYS
        name = pod["metadata"]["name"]
        self._imports[name] = self._imports.get(name, 0) + 1  # it has imported since the last look
        return "imported\n" * self._imports[name]

    def _said_by_daemon(self, daemon: Manifest) -> Iterator[Manifest]:
        """Yield the log of a daemon, which prunes what no model of its node has leased."""
        oldest = int(_variable(daemon, "MONOBASE_MIN_GEN_ID"))
        yield {"level": "info", "message": f"ready: g{oldest:05}"}
        if _variable(daemon, "MONOBASE_PRUNE_OLD_GEN") != "true":
            return
        node = daemon["spec"].get("nodeName")
        models = [pod for pod in self.of("pods") if "import torch" in _args(pod)]
        running = [pod for pod in models if pod["status"].get("phase") == "Running"]
        leased = any(
            pod["spec"]["nodeName"] == node and int(_variable(pod, "MONOBASE_GEN_ID")) < oldest
            for pod in running
        )
        name = f"g{oldest - 1:05}"
        if leased and "prunes" not in self.faults:
            reason = "older than --min-gen-id and stays: a model has leased it: process 7 (python)"
            yield {"level": "info", "message": f"{name} is {reason}"}
        elif "keeps" not in self.faults:
            yield {"level": "info", "stage": "prune", "generations": [name]}

    def _count(self, daemon_set: Manifest) -> None:
        pods = self._pods_of(daemon_set)
        ready = sum(pod.get("status", {}).get("phase") == "Running" for pod in pods)
        daemon_set["status"] = {
            "desiredNumberScheduled": len(self.of("nodes")),
            "numberReady": ready,
            "updatedNumberScheduled": len(pods),
            "observedGeneration": daemon_set["metadata"]["generation"],
        }


def _place(pod: Manifest) -> str | None:
    """Return the node that a pod must run on."""
    if place := pod["metadata"].get("annotations", {}).get("place"):
        return str(place)
    affinity = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
    terms = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms", [{}])
    fields = terms[0].get("matchFields")
    return str(fields[0]["values"][0]) if fields else None


def _args(pod: Manifest) -> str:
    return " ".join(pod["spec"]["containers"][0].get("args", ()))


def _variable(pod: Manifest, name: str) -> str:
    env = pod["spec"]["containers"][0].get("env", ())
    return next((str(item.get("value", "")) for item in env if item["name"] == name), "")


def _cpu(pod: Manifest) -> Any:  # noqa: ANN401 (a Fraction)
    requests = pod["spec"]["containers"][0].get("resources", {}).get("requests", {})
    return cpus(str(requests.get("cpu", "0")))


@dataclass(frozen=True, slots=True)
class Target:
    """The subject of a request.

    Attributes:
        resource: The resource, such as `pods`.
        namespace: Namespace, or empty.
        name: Name of the object, or empty for a list.
        part: Its subresource, or empty.
    """

    resource: str
    namespace: str
    name: str
    part: str


def _target(path: str) -> Target:
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    name, part = [*parts[1:], "", ""][:2]
    return Target(parts[0], namespace, name, part)


def _discovery(path: str) -> Manifest | None:
    """Return the answer to a question about what there is."""
    parts = path.strip("/").split("/")
    if parts == ["api"]:
        return {"kind": "APIVersions", "versions": ["v1"]}
    if parts == ["apis"]:
        versions = {name: {"groupVersion": f"{name}/v1", "version": "v1"} for name in _GROUPS if name}
        groups = [
            {"name": name, "versions": [version], "preferredVersion": version}
            for name, version in versions.items()
        ]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    if parts == ["api", "v1"] or (len(parts) == 3 and parts[0] == "apis" and parts[1] in _GROUPS):
        group = "" if parts[0] == "api" else parts[1]
        resources = [
            {"name": name, "singularName": kind.lower(), "namespaced": placed, "kind": kind, "verbs": _VERBS}
            for name, (kind, placed) in _GROUPS[group].items()
        ]
        version = f"{group}/v1".lstrip("/")
        return {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": version,
            "resources": resources,
        }
    return None


def _selected(manifest: Manifest, query: Mapping[str, list[str]]) -> bool:
    labels = manifest["metadata"].get("labels", {})
    wanted = [term.split("=") for term in query.get("labelSelector", [""])[0].split(",") if term]
    if any(labels.get(key) != value for key, value in wanted):
        return False
    fields = [term.split("=") for term in query.get("fieldSelector", [""])[0].split(",") if term]
    values = {
        "metadata.name": manifest["metadata"]["name"],
        "spec.nodeName": manifest.get("spec", {}).get("nodeName"),
    }
    return all(values.get(key) == value for key, value in fields)


def _merged(old: Any, change: Any) -> Any:  # noqa: ANN401 (any JSON value)
    if not isinstance(old, dict) or not isinstance(change, dict):
        return change
    merged = {**old, **{key: _merged(old.get(key), value) for key, value in change.items()}}
    return {key: value for key, value in merged.items() if value is not None}


class _Handler(BaseHTTPRequestHandler):
    cluster: Cluster
    lock: threading.Lock

    def do_GET(self) -> None:
        with self.lock:
            if not self._is_refused():
                self._get()

    def do_POST(self) -> None:
        with self.lock:
            if self._is_refused():
                return
            target = _target(urlsplit(self.path).path)
            manifest = self._body()
            self._put(target, manifest["metadata"]["name"], manifest)

    def do_PATCH(self) -> None:
        with self.lock:
            if self._is_refused():
                return
            target, body = _target(urlsplit(self.path).path), self._body()
            old = self.cluster.objects.get((target.resource, target.namespace, target.name))
            whole = self.headers["Content-Type"].startswith("application/apply-patch")
            self._put(target, target.name, body if whole else _merged(old, body))

    def do_DELETE(self) -> None:
        with self.lock:
            if self._is_refused():
                return
            target = _target(urlsplit(self.path).path)
            removed = self.cluster.remove(target.resource, target.namespace, target.name)
            self.cluster.settle()
            self._answer(removed) if removed else self._refuse()

    def log_message(self, *_arguments: object) -> None:
        pass

    def _get(self) -> None:
        address = urlsplit(self.path)
        if (found := _discovery(address.path)) is not None:
            self._answer(found)
            return
        if not address.path.startswith(("/api/v1/", "/apis/")):
            self._refuse()
            return
        target, query = _target(address.path), parse_qs(address.query)
        if target.part == "log":
            pod = self.cluster.objects[target.resource, target.namespace, target.name]
            self._write(200, "text/plain", self.cluster.log_of(pod).encode())
        elif target.name:
            found = self.cluster.objects.get((target.resource, target.namespace, target.name))
            self._answer(found) if found else self._refuse()
        else:
            items = [
                manifest
                for manifest in self.cluster.of(target.resource)
                if target.namespace in ("", manifest["metadata"].get("namespace"))
                and _selected(manifest, query)
            ]
            self._answer({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items})

    def _put(self, target: Target, name: str, manifest: Manifest) -> None:
        kept = self.cluster.put(target.resource, target.namespace, name, manifest)
        if "drops" in self.cluster.faults and target.resource == "nodes":
            for pod in [pod for pod in self.cluster.of("pods") if pod["metadata"].get("ownerReferences")]:
                self.cluster.remove("pods", pod["metadata"]["namespace"], pod["metadata"]["name"])
        self.cluster.settle()
        self._answer(kept)

    def _body(self) -> Manifest:
        found: Manifest = yaml.safe_load(self.rfile.read(int(self.headers["Content-Length"])))
        return found

    def _answer(self, manifest: Manifest) -> None:
        self._write(200, "application/json", json.dumps(manifest).encode())

    def _is_refused(self) -> bool:
        """Refuse a request that is to be refused; return whether it was."""
        address = urlsplit(self.path)
        if _discovery(address.path) is not None:
            return False
        if self.command == "GET" and "watch" in parse_qs(address.query):
            self._refuse(410)  # nothing here is watched; kubectl lists again until its time is over
            return True
        if self.command != "GET" and "priorityclasses" in self.path and "forbidden" in self.cluster.faults:
            self._refuse(403)
            return True
        if not self.cluster.refusals:
            return False
        self._refuse(self.cluster.refusals.pop(0))
        return True

    def _refuse(self, code: int = 404) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}
        reason, message = _REASONS[code]
        body = json.dumps({**status, "reason": reason, "message": message}).encode()
        self._write(code, "application/json", body)

    def _write(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def scripted_api(cluster: Cluster) -> Iterator[str]:
    """Serve a cluster on a free port of this machine; yield the text of its kubeconfig."""
    handler = type("Handler", (_Handler,), {"cluster": cluster, "lock": threading.Lock()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        context = {"name": "scripted", "context": {"cluster": "scripted", "user": "scripted"}}
        try:
            yield yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "scripted", "cluster": {"server": address}}],
                    "users": [{"name": "scripted", "user": {}}],
                    "contexts": [context],
                    "current-context": "scripted",
                }
            )
        finally:
            server.shutdown()
            thread.join()
