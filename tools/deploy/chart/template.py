"""Writes YAML with expressions of Helm's template language in it.

https://helm.sh/docs/chart_template_guide/. A template is built as a value of mappings, lists and scalars, in
which some places are expressions, so that its indentation and its quotes are right by construction.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar that an expression gives, with its quotes if it needs some: `{{ … }}`."""

    expression: str


@dataclass(frozen=True, slots=True)
class Block:
    """A mapping or list that an expression gives."""

    expression: str


@dataclass(frozen=True, slots=True)
class Fields:
    """Further fields of a mapping, from an expression that gives one; their key in the template is free."""

    expression: str


@dataclass(frozen=True, slots=True)
class When:
    """A field of a mapping, or items of a list, that are there only if a condition holds.

    Attributes:
        condition: The condition, as in `{{ if … }}`.
        value: Value of the field, or the list of the items.
    """

    condition: str
    value: Any


def to_template(value: Mapping[str, Any]) -> str:
    """Return a template."""
    return "".join(f"{line}\n" for line in _mapping(value, 0))


def _mapping(mapping: Mapping[str, Any], depth: int) -> Iterator[str]:
    pad = " " * depth
    for key, value in mapping.items():
        if isinstance(value, When):
            yield f"{pad}{{{{- if {value.condition} }}}}"
            yield from _field(key, value.value, depth)
            yield f"{pad}{{{{- end }}}}"
        elif isinstance(value, Fields):
            yield f"{pad}{{{{- with {value.expression} }}}}"
            yield _block(Block("."), depth)
            yield f"{pad}{{{{- end }}}}"
        else:
            yield from _field(key, value, depth)


def _field(key: str, value: object, depth: int) -> Iterator[str]:
    pad, name = " " * depth, _scalar(key)
    if isinstance(value, Block):
        yield f"{pad}{name}:"
        yield _block(value, depth + 2)
    elif isinstance(value, Mapping) and value:
        yield f"{pad}{name}:"
        yield from _mapping(value, depth + 2)
    elif isinstance(value, list) and value:
        yield f"{pad}{name}:"
        yield from _items(value, depth + 2)
    else:
        yield f"{pad}{name}: {_scalar(value)}"


def _items(items: list[Any], depth: int) -> Iterator[str]:
    pad = " " * depth
    for item in items:
        if isinstance(item, When):
            yield f"{pad}{{{{- if {item.condition} }}}}"
            yield from _items(item.value, depth)
            yield f"{pad}{{{{- end }}}}"
        elif isinstance(item, Block):
            yield _block(item, depth)
        elif isinstance(item, Mapping) and item:
            first, *others = _mapping(item, depth + 2)
            yield f"{pad}- {first[depth + 2 :]}"
            yield from others
        else:
            yield f"{pad}- {_scalar(item)}"


def _block(block: Block, depth: int) -> str:
    return f"{' ' * depth}{{{{- toYaml ({block.expression}) | nindent {depth} }}}}"


def _scalar(value: object) -> str:
    if isinstance(value, Scalar):
        return f"{{{{ {value.expression} }}}}"
    if isinstance(value, str) and ("\n" in value or "{{" in value):
        # Prometheus and Grafana have the same braces as Helm.
        return json.dumps(value, ensure_ascii=False).replace("{{", '{{ "{{" }}')
    text = yaml.safe_dump(value, width=1_000_000, allow_unicode=True, default_flow_style=True)
    return text.removesuffix("...\n").strip()
