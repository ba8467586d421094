"""The values of a chart: their defaults with what they mean, and the JSON schema that Helm checks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import yaml

# What people install with Helm 3 and 4 is checked by this dialect.
_DIALECT = "http://json-schema.org/draft-07/schema#"


@dataclass(frozen=True, slots=True)
class Value:
    """One value.

    Attributes:
        default: Its default.
        schema: JSON schema of what it may be.
        text: What it means, for the comment above it.
    """

    default: Any
    schema: Mapping[str, Any]
    text: str


Values: TypeAlias = Mapping[str, "Value | Values"]


def values_yaml(values: Values) -> str:
    """Return the text of `values.yaml`, with a comment above each value."""
    return "".join(f"{line}\n" for line in _lines(values, 0))


def values_schema(values: Values) -> dict[str, Any]:
    """Return the content of `values.schema.json`: an unknown value is refused."""
    # Helm adds `global` to the values of a chart that another chart contains.
    properties = _properties(values) | {"global": {"type": "object"}}
    return {
        "$schema": _DIALECT,
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": _required(values),
    }


def defaults(values: Values) -> dict[str, Any]:
    """Return the defaults of all values."""
    return {
        name: value.default if isinstance(value, Value) else defaults(value) for name, value in values.items()
    }


def _properties(values: Values) -> dict[str, Any]:
    return {
        name: {"description": value.text, **value.schema}
        if isinstance(value, Value)
        else {
            "type": "object",
            "additionalProperties": False,
            "properties": _properties(value),
            "required": _required(value),
        }
        for name, value in values.items()
    }


def _required(values: Values) -> list[str]:
    """Return the values that a user may not remove.

    Helm removes a value that is set to null before it validates. Templates need the groups and the scalars;
    a mapping or list may go, unless it must not be empty.
    """
    return [
        name
        for name, value in values.items()
        if not isinstance(value, Value)
        or "minItems" in value.schema
        or not {"null", "object", "array"}.intersection(_types(value.schema))
    ]


def _types(schema: Mapping[str, Any]) -> set[str]:
    found = schema["type"]
    return {found} if isinstance(found, str) else set(found)


def _lines(values: Values, depth: int) -> Iterator[str]:
    pad = " " * depth
    for name, value in values.items():
        if isinstance(value, Value):
            yield f"{pad}# {value.text}"
            text = yaml.safe_dump({name: value.default}, sort_keys=False, width=1_000_000)
            yield from (f"{pad}{line}" for line in text.splitlines())
        else:
            yield f"{pad}{name}:"
            yield from _lines(value, depth + 2)
        if not depth:
            yield ""
