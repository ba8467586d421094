"""The templates of a chart's objects, and the values that they have beyond the daemon's variables."""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tools.deploy.base import Image, Manifest
from tools.deploy.chart.checks import checks_of_values
from tools.deploy.chart.options import OPTIONS, variables_template
from tools.deploy.chart.schemas import (
    ANNOTATIONS,
    FLAG,
    LABELS,
    NAME,
    NODE_REQUIREMENTS,
    NODES,
    PEERS,
    PULL_SECRETS,
    RESOURCES,
    TOLERATIONS,
    VARIABLE_SOURCES,
    VARIABLES,
)
from tools.deploy.chart.sources import Sources
from tools.deploy.chart.template import Block, Fields, Scalar, When, to_template
from tools.deploy.chart.values import Value, Values

_VARIABLES = "monobase.variables"
_CHECKS = "monobase.checks"
_NAMESPACE = Scalar(".Release.Namespace | quote")
_TAINT = ".Values.startupTaint.enabled"
_MONITOR = ".Values.podMonitor.enabled"
_DRAGONFLY = ".Values.dragonfly.enabled"
# Components that set variables, some of them to values of the pod, each with the value that turns it on.
_ADDED = {"dragonfly": _DRAGONFLY, "large-fleet": ".Values.work.firstFetchJitter"}
# Components that patch the pods with a volume, each with the value that turns it on.
_FOLDERS = {
    "node-feature-discovery": ".Values.nodeFeatureDiscovery.enabled",
    "compile-cache": ".Values.compileCache.enabled",
    "source-login": ".Values.sources.login",
}
_SECONDS = {"type": "integer", "minimum": 0}
# A repository as image/oci/reference.py reads it; without a host, nodes pull from their default registry.
_COMPONENT = "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?)(:[0-9]{1,5})?"
_REPOSITORY = {
    "type": "string",
    "maxLength": 255,
    "pattern": f"^({_HOST}/)?{_COMPONENT}(/{_COMPONENT})*$",
}


@dataclass(frozen=True, slots=True)
class Objects:
    """The parts of a chart that come from manifests.

    Attributes:
        values: All values.
        templates: The templates, by name of the file.
    """

    values: Values
    templates: Mapping[str, str]


def objects_of(sources: Sources, image: Image) -> Objects:
    """Return values and templates.

    Args:
        sources: The base and its components.
        image: Image of the daemon.

    Raises:
        ManifestError: The manifests are not those that a chart is made of.
    """
    folders = {on: _pod(sources.patch_of(name, "DaemonSet")) for name, on in _FOLDERS.items()}
    of_base = _variables(_pod(sources.base["DaemonSet"]))
    added = {on: _pod(sources.patch_of(name, "DaemonSet")) for name, on in _ADDED.items()}
    options = {option.variable for option in OPTIONS}
    conditional = {
        name: (on, text)
        for on, patch in [*folders.items(), *added.items()]
        for name, text in _variables(patch).items()
        if name not in options
    }
    of_pod = {entry["name"]: (on, entry) for on, patch in added.items() for entry in _of_pod(patch)}
    templates = {
        "_variables.tpl": variables_template(_VARIABLES, of_base, conditional, of_pod),
        "_checks.tpl": _defined(_CHECKS, checks_of_values(_own_names(sources))),
        "daemonset.yaml": f'{{{{- include "{_CHECKS}" . -}}}}\n{to_template(_daemon_set(sources, folders))}',
        "serviceaccount.yaml": to_template(_service_account(sources)),
        "priorityclass.yaml": _if(".Values.priority.create", _priority_class(sources)),
        "resourcequota.yaml": _if(".Values.priority.quota", _quota(sources)),
        "networkpolicy.yaml": _if(".Values.networkPolicy.enabled", _network_policy(sources)),
        "podmonitor.yaml": _if(_MONITOR, _pod_monitor(sources)),
        "prometheusrule.yaml": _if(".Values.prometheusRule.enabled", _prometheus_rule(sources)),
        "dashboard.yaml": _if(
            ".Values.dashboard.enabled", _placed(sources.config_map_of("grafana-dashboard"))
        ),
        "service.yaml": _if(_TAINT, _placed(sources.object_of("startup-taint", "Service"))),
        "nodereadinessrule.yaml": _if(_TAINT, _rule(sources)),
    }
    return Objects(_values(sources, image, of_base), templates)


def _defined(name: str, template: str) -> str:
    return f'{{{{- define "{name}" -}}}}\n{template}{{{{- end -}}}}\n'


def _own_names(sources: Sources) -> dict[str, list[str]]:
    """Return the labels and annotations that values add to, and that are in the objects already."""
    pods = sources.base["DaemonSet"]["spec"]["template"]["metadata"]
    monitor = sources.object_of("pod-monitor", "PodMonitor")["metadata"]
    rule = sources.object_of("prometheus-rule", "PrometheusRule")["metadata"]
    return {
        "podLabels": list(pods["labels"]),
        "podAnnotations": list(pods["annotations"]),
        "podMonitor.labels": list(monitor["labels"]),
        "prometheusRule.labels": list(rule["labels"]),
    }


def _values(sources: Sources, image: Image, of_base: Mapping[str, str]) -> Values:
    pod = _pod(sources.base["DaemonSet"])
    (container,) = pod["containers"]
    secret = container["envFrom"][0]["secretRef"]["name"]
    update = sources.base["DaemonSet"]["spec"]["updateStrategy"]["rollingUpdate"]
    policy = sources.object_of("network-policy", "NetworkPolicy")["spec"]
    rule = sources.object_of("startup-taint", "NodeReadinessRule")["spec"]
    groups: dict[str, dict[str, Value]] = {}
    for option in OPTIONS:
        groups.setdefault(option.group, {})[option.name] = option.value(of_base)
    groups["sources"]["secret"] = Value(
        secret, NAME, "Secret with variables such as UV_DEFAULT_INDEX; it need not exist"
    )
    groups["sources"]["login"] = Value(
        False, FLAG, "Read logins for sources.order from the Secret monobase-registry"
    )
    digest = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}
    return {
        "image": {
            "repository": Value(
                image.repository or image.name,
                _REPOSITORY,
                "Where nodes pull the daemon's image from",
            ),
            "digest": Value(image.digest, digest, "Its digest: of the image that this chart was built with"),
            "pullSecrets": Value([], PULL_SECRETS, "Secrets of its registry: [{name: …}]"),
        },
        **groups,
        "env": Value({}, VARIABLES, "Further variables, such as {UV_HTTP_TIMEOUT: '120'}; they win"),
        "envFrom": Value([], VARIABLE_SOURCES, "Further sources of variables: [{configMapRef: {name: …}}]"),
        "resources": Value(container["resources"], RESOURCES, "Requests and limits of the container"),
        "nodeSelector": Value(pod["nodeSelector"], LABELS, "Labels of the nodes that get a daemon"),
        "nodeAffinity": Value(
            [], NODE_REQUIREMENTS, "What nodes must meet besides: [{key: …, operator: In, values: […]}]"
        ),
        "tolerations": Value(pod["tolerations"], TOLERATIONS, "Taints that the daemon tolerates"),
        "podAnnotations": Value({}, ANNOTATIONS, "Further annotations of the pods"),
        "podLabels": Value({}, LABELS, "Further labels of the pods"),
        "updateStrategy": {
            "maxUnavailable": Value(
                update["maxUnavailable"],
                NODES,
                "Nodes that get a new daemon at a time: a number, or such as 10%",
            ),
            "minReadySeconds": Value(
                0, _SECONDS, "How long a node must be ready before the next one gets a new daemon"
            ),
        },
        "priority": {
            "create": Value(True, FLAG, "Create the PriorityClass; once in a cluster: it has no namespace"),
            "className": Value(pod["priorityClassName"], NAME, "PriorityClass of the daemon"),
            "quota": Value(False, FLAG, "Add a ResourceQuota that admits a class of the system"),
        },
        "networkPolicy": {
            "enabled": Value(False, FLAG, "Only `from` and the node itself reach the daemon"),
            "from": Value(
                policy["ingress"][0]["from"],
                PEERS,
                "Who may, as in a NetworkPolicy: Prometheus",
            ),
        },
        "podMonitor": {
            "enabled": Value(False, FLAG, "A PodMonitor of Prometheus' operator, in place of annotations"),
            "labels": Value({}, LABELS, "Its further labels, by which your Prometheus finds it"),
        },
        "prometheusRule": {
            "enabled": Value(False, FLAG, "Alerts, as a PrometheusRule of Prometheus' operator"),
            "labels": Value({}, LABELS, "Its further labels, by which your Prometheus finds it"),
        },
        "dashboard": {"enabled": Value(False, FLAG, "The dashboard, in a ConfigMap for Grafana's sidecar")},
        "nodeFeatureDiscovery": {"enabled": Value(False, FLAG, "Label nodes with what is ready on them")},
        "dragonfly": {
            "enabled": Value(False, FLAG, "Ask Dragonfly's client on the node first, for sources.order")
        },
        "compileCache": {
            "enabled": Value(False, FLAG, "Keep a folder of the node for compiled code of models")
        },
        "startupTaint": {
            "enabled": Value(False, FLAG, "For nodes that start with a taint: README of daemon/kubernetes"),
            # Helm merges mappings: with a default, a user's labels would be required beside it.
            "nodeLabels": Value(
                {}, LABELS, f"Labels of these nodes; empty for {rule['nodeSelector']['matchLabels']}"
            ),
        },
    }


def _daemon_set(sources: Sources, folders: Mapping[str, Manifest]) -> Manifest:
    manifest = _placed(sources.base["DaemonSet"])
    manifest["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"] = Scalar(
        ".Values.updateStrategy.maxUnavailable | toJson"
    )
    manifest["spec"]["minReadySeconds"] = When(
        ".Values.updateStrategy.minReadySeconds", Scalar(".Values.updateStrategy.minReadySeconds | int64")
    )
    template = manifest["spec"]["template"]
    removed = sources.patch_of("pod-monitor", "DaemonSet")["spec"]["template"]["metadata"]["annotations"]
    template["metadata"]["annotations"] = {
        name: When(f"not {_MONITOR}", text) if name in removed else text
        for name, text in template["metadata"]["annotations"].items()
    }
    template["metadata"]["annotations"]["podAnnotations"] = Fields(".Values.podAnnotations")
    template["metadata"]["labels"]["podLabels"] = Fields(".Values.podLabels")
    pod = template["spec"]
    pod["priorityClassName"] = Scalar(".Values.priority.className | quote")
    pod["nodeSelector"] = When(".Values.nodeSelector", Block(".Values.nodeSelector"))
    required = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    required["nodeSelectorTerms"][0]["matchExpressions"].append(
        When(".Values.nodeAffinity", [Block(".Values.nodeAffinity")])
    )
    pod["tolerations"] = When(
        f"or .Values.tolerations {_TAINT}",
        [
            When(".Values.tolerations", [Block(".Values.tolerations")]),
            When(_TAINT, [sources.added_of("startup-taint", "DaemonSet")]),
        ],
    )
    pod["volumes"] += [When(on, patch["volumes"]) for on, patch in folders.items()]
    (container,) = pod["containers"]
    _container(container, folders)
    return manifest


def _container(container: dict[str, Any], folders: Mapping[str, Manifest]) -> None:
    container["image"] = Scalar('printf "%s@%s" .Values.image.repository .Values.image.digest | quote')
    container["env"] = Block(f'include "{_VARIABLES}" . | fromJsonArray')
    container["envFrom"][0]["secretRef"]["name"] = Scalar(".Values.sources.secret | quote")
    container["envFrom"].append(When(".Values.envFrom", [Block(".Values.envFrom")]))
    container["resources"] = When(".Values.resources", Block(".Values.resources"))
    for on, patch in folders.items():
        (patched,) = patch["containers"]
        container["volumeMounts"].append(When(on, patched["volumeMounts"]))
        added = patched.get("securityContext", {}).get("capabilities", {}).get("add")
        if added:
            container["securityContext"]["capabilities"]["add"] = When(on, added)


def _service_account(sources: Sources) -> Manifest:
    manifest = _placed(sources.base["ServiceAccount"])
    manifest["imagePullSecrets"] = When(".Values.image.pullSecrets", Block(".Values.image.pullSecrets"))
    return manifest


def _priority_class(sources: Sources) -> Manifest:
    manifest = copy.deepcopy(sources.base["PriorityClass"])
    manifest["metadata"]["name"] = Scalar(".Values.priority.className | quote")
    return manifest


def _quota(sources: Sources) -> Manifest:
    manifest = _placed(sources.object_of("system-priority", "ResourceQuota"))
    manifest["spec"]["scopeSelector"]["matchExpressions"][0]["values"] = [
        Scalar(".Values.priority.className | quote")
    ]
    return manifest


def _network_policy(sources: Sources) -> Manifest:
    manifest = _placed(sources.object_of("network-policy", "NetworkPolicy"))
    manifest["spec"]["ingress"][0]["from"] = Block(".Values.networkPolicy.from")
    return manifest


def _pod_monitor(sources: Sources) -> Manifest:
    manifest = _placed(sources.object_of("pod-monitor", "PodMonitor"))
    manifest["metadata"]["labels"]["podMonitor.labels"] = Fields(".Values.podMonitor.labels")
    return manifest


def _prometheus_rule(sources: Sources) -> Manifest:
    manifest = _placed(sources.object_of("prometheus-rule", "PrometheusRule"))
    manifest["metadata"]["labels"]["prometheusRule.labels"] = Fields(".Values.prometheusRule.labels")
    return manifest


def _rule(sources: Sources) -> Manifest:
    manifest = copy.deepcopy(sources.object_of("startup-taint", "NodeReadinessRule"))
    selector = manifest["spec"]["nodeSelector"]
    default = json.dumps(json.dumps(selector["matchLabels"]))
    selector["matchLabels"] = Block(f".Values.startupTaint.nodeLabels | default (fromJson {default})")
    return manifest


def _placed(manifest: Manifest) -> Manifest:
    """Return an object in the namespace of the release."""
    placed = copy.deepcopy(manifest)
    placed["metadata"]["namespace"] = _NAMESPACE
    return placed


def _if(condition: str, manifest: Manifest) -> str:
    return f"{{{{- if {condition} }}}}\n{to_template(manifest)}{{{{- end }}}}\n"


def _pod(manifest: Manifest) -> Manifest:
    pod: Manifest = manifest["spec"]["template"]["spec"]
    return pod


def _variables(pod: Manifest) -> dict[str, str]:
    (container,) = pod["containers"]
    return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}


def _of_pod(pod: Manifest) -> list[Manifest]:
    """Return the variables with a value of the pod, such as the node's name."""
    (container,) = pod["containers"]
    return [entry for entry in container["env"] if "valueFrom" in entry]
