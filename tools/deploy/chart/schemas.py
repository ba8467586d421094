"""JSON schemas of what Kubernetes accepts in the values that a chart hands on to it.

`helm install` then reports a fault with its place, before an object reaches the cluster. Patterns are those
of Kubernetes' own validation (k8s.io/apimachinery, package `validation`).
"""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
_DNS_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_DNS_LABEL}(\.{_DNS_LABEL})*"
_QUALIFIED = rf"({_SUBDOMAIN}/)?([A-Za-z0-9][-A-Za-z0-9_.]{{0,61}})?[A-Za-z0-9]"


def _object(properties: Schema, *required: str) -> Schema:
    """Return the schema of a mapping with these keys and no others."""
    found: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return found | ({"required": list(required)} if required else {})


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


# Name of an object.
NAME: Schema = {"type": "string", "maxLength": 253, "pattern": f"^{_SUBDOMAIN}$"}
# Key of a label, an annotation or a taint.
_KEY: Schema = {"type": "string", "maxLength": 317, "pattern": f"^{_QUALIFIED}$"}
_LABEL: Schema = {
    "type": "string",
    "maxLength": 63,
    "pattern": "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$",
}
LABELS: Schema = {"type": "object", "propertyNames": _KEY, "additionalProperties": _LABEL}
ANNOTATIONS: Schema = {"type": "object", "propertyNames": _KEY, "additionalProperties": TEXT}
# Variables: a name that no shell can set is a typing error.
VARIABLES: Schema = {
    "type": "object",
    "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
    "additionalProperties": TEXT,
}
_QUANTITY: Schema = {
    "type": ["string", "number"],
    "minimum": 0,
    "pattern": r"^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$",
}
_QUANTITIES: Schema = {"type": "object", "additionalProperties": _QUANTITY}
RESOURCES: Schema = _object(
    {"limits": _QUANTITIES, "requests": _QUANTITIES, "claims": _list({"type": "object"})}
)
# A number of nodes, or a share of them. With 0, no node would ever get a new daemon: Kubernetes refuses it.
NODES: Schema = {"type": ["integer", "string"], "minimum": 1, "pattern": "^([1-9][0-9]?|100)%$"}
PULL_SECRETS: Schema = _list(_object({"name": NAME}, "name"))
_SOURCE: Schema = _object({"name": NAME, "optional": FLAG}, "name")
VARIABLE_SOURCES: Schema = _list(
    _object({"prefix": TEXT, "configMapRef": _SOURCE, "secretRef": _SOURCE}) | {"minProperties": 1}
)
TOLERATIONS: Schema = _list(
    _object(
        {
            "key": _KEY,
            "operator": {"enum": ["Exists", "Equal", "Lt", "Gt"]},
            "value": TEXT,
            "effect": {"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
            "tolerationSeconds": {"type": "integer"},
        }
    )
)
NODE_REQUIREMENTS: Schema = _list(
    _object(
        {
            "key": _KEY,
            "operator": {"enum": ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]},
            "values": _list(TEXT),
        },
        "key",
        "operator",
    )
)
_SELECTOR: Schema = _object(
    {
        "matchLabels": LABELS,
        "matchExpressions": _list(
            _object(
                {
                    "key": _KEY,
                    "operator": {"enum": ["In", "NotIn", "Exists", "DoesNotExist"]},
                    "values": _list(_LABEL),
                },
                "key",
                "operator",
            )
        ),
    }
)
_BLOCK: Schema = _object({"cidr": TEXT, "except": _list(TEXT)}, "cidr")
# An empty list, or an empty item, would admit everybody.
PEERS: Schema = _list(
    _object({"podSelector": _SELECTOR, "namespaceSelector": _SELECTOR, "ipBlock": _BLOCK})
    | {"minProperties": 1}
) | {"minItems": 1}
