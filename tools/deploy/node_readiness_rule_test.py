"""Tests that the schema of a NodeReadinessRule refuses what the controller refuses."""

import copy
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from tools.deploy.node_readiness_rule import API_VERSION, SCHEMA

_RULE: dict[str, Any] = {
    "apiVersion": API_VERSION,
    "kind": "NodeReadinessRule",
    "metadata": {"name": "a-rule"},
    "spec": {
        "conditions": [{"type": "MonobaseReady", "requiredStatus": "True"}],
        "enforcementMode": "bootstrap-only",
        "taint": {"key": "readiness.k8s.io/monobase-not-ready", "effect": "NoSchedule"},
        "nodeSelector": {"matchLabels": {"pool": "gpu"}},
    },
}


def _changed(path: str, value: object) -> dict[str, Any]:
    rule = copy.deepcopy(_RULE)
    *parents, last = path.split(".")
    place: Any = rule
    for name in parents:
        place = place[int(name)] if name.isdigit() else place[name]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return rule


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.dryRun", True),
        ("spec.conditionPolicy", "allOf"),
        ("spec.taint.value", "pending"),
        ("spec.enforcementMode", "continuous"),
        ("spec.nodeSelector", {"matchExpressions": [{"key": "pool", "operator": "Exists"}]}),
        ("metadata.namespace", "monobase"),
    ],
)
def test_a_rule_of_the_controller_is_valid(path: str, value: object) -> None:
    jsonschema.validate(_RULE, SCHEMA)
    jsonschema.validate(_changed(path, value), SCHEMA)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("apiVersion", "readiness.node.x-k8s.io/v1"),
        ("spec", None),
        ("spec.conditions", []),
        ("spec.conditions.0.requiredStatus", True),
        ("spec.conditions.0.requiredStatus", None),
        ("spec.conditions.0.defaultStatus", "True"),
        ("spec.conditionPolicy", "anyOf"),
        ("spec.enforcementMode", "Continuous"),
        ("spec.enforcementMode", None),
        ("spec.taint.key", "monobase-not-ready"),
        ("spec.taint.key", "startup-taint.cluster-autoscaler.kubernetes.io/monobase"),
        ("spec.taint.key", "readiness.k8s.io/a/b"),
        ("spec.taint.key", "readiness.k8s.io/-a"),
        ("spec.taint.key", "readiness.k8s.io/" + "a" * 64),
        ("spec.taint.effect", "NoRun"),
        ("spec.taint.effect", None),
        ("spec.nodeSelector", {}),
        ("spec.nodeSelector", {"matchLabels": {}}),
        ("spec.nodeSelector", {"pool": "gpu"}),
        ("spec.nodeselector", {"matchLabels": {"pool": "gpu"}}),
        ("metadata.name", "A_rule"),
    ],
)
def test_what_the_controller_refuses_is_not_valid(path: str, value: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(_changed(path, value), SCHEMA)


def test_defaults_and_any_of_are_for_continuous_rules() -> None:
    rule = _changed("spec.enforcementMode", "continuous")
    rule["spec"]["conditionPolicy"] = "anyOf"
    rule["spec"]["conditions"][0]["defaultStatus"] = "False"
    jsonschema.validate(rule, SCHEMA)
