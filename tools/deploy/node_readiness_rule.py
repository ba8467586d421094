"""The shape of a NodeReadinessRule (readiness.node.x-k8s.io/v1alpha1), as a JSON schema, for tests.

https://github.com/kubernetes-sigs/node-readiness-controller defines the kind. This schema is Monobase's own.
It states the facts of v0.5.0 that a rule must meet: fields, required fields, values, and what the admission
webhook refuses. It is stricter in two places: one pattern checks the key of a taint, and `status` and
`timeAdded` are not fields of a rule that a person writes.
"""

from typing import Any

API_VERSION = "readiness.node.x-k8s.io/v1alpha1"
_STATUS = {"enum": ["True", "False", "Unknown"]}
_TEXT = {"type": "string"}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    """Return the schema of an object without further fields."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


_CONDITION = _object(
    {
        "type": {"type": "string", "minLength": 1, "maxLength": 316},
        "requiredStatus": _STATUS,
        "defaultStatus": _STATUS,
    },
    "type",
    "requiredStatus",
)
_TAINT = _object(
    {
        "key": {
            "type": "string",
            "pattern": r"^readiness\.k8s\.io/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$",
        },
        "value": {"type": "string", "maxLength": 63},
        "effect": {"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
    },
    "key",
    "effect",
)
_REQUIREMENT = _object(
    {
        "key": _TEXT,
        "operator": {"enum": ["In", "NotIn", "Exists", "DoesNotExist"]},
        "values": {"type": "array", "items": _TEXT},
    },
    "key",
    "operator",
)
# The webhook refuses a selector of all nodes.
_SELECTOR = _object(
    {
        "matchLabels": {"type": "object", "additionalProperties": _TEXT, "minProperties": 1},
        "matchExpressions": {"type": "array", "items": _REQUIREMENT, "minItems": 1},
    }
) | {"minProperties": 1}
_SPEC = _object(
    {
        "conditions": {"type": "array", "items": _CONDITION, "minItems": 1, "maxItems": 32},
        "conditionPolicy": {"enum": ["allOf", "anyOf"]},
        "enforcementMode": {"enum": ["bootstrap-only", "continuous"]},
        "taint": _TAINT,
        "nodeSelector": _SELECTOR,
        "dryRun": {"type": "boolean"},
    },
    "conditions",
    "enforcementMode",
    "taint",
    "nodeSelector",
)
# The webhook again: `bootstrap-only` waits for conditions that are reported, all of them.
_BOOTSTRAP = {
    "if": {"properties": {"enforcementMode": {"const": "bootstrap-only"}}},
    "then": {
        "properties": {
            "conditions": {"items": {"properties": {"defaultStatus": False}}},
            "conditionPolicy": {"const": "allOf"},
        }
    },
}
# kustomize does not know that the kind has no namespace and may write one, which the API server removes.
_METADATA = _object(
    {
        "name": {"type": "string", "pattern": r"^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$"},
        "namespace": _TEXT,
        "labels": {"type": "object", "additionalProperties": _TEXT},
        "annotations": {"type": "object", "additionalProperties": _TEXT},
    },
    "name",
)
SCHEMA = _object(
    {
        "apiVersion": {"const": API_VERSION},
        "kind": {"const": "NodeReadinessRule"},
        "metadata": _METADATA,
        "spec": _SPEC | _BOOTSTRAP,
    },
    "apiVersion",
    "kind",
    "metadata",
    "spec",
)
