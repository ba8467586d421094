"""Finds the fields of an object that the API server would drop or rewrite, for tests.

A client-side `kubectl apply` compares the manifest with the stored object. A field that the server drops (an
empty string, list or map) or rewrites (a quantity such as `1000m`) differs each time: apply says `configured`
instead of `unchanged`, and GitOps tools report drift for ever. Two items of a list with one merge key are
merged into one.
"""

import re
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

# Fields that the API server keeps when they are empty, 0 or false, as absent has another meaning.
# Others are dropped. These are the ones that Monobase's manifests have.
_KEPT: dict[str, tuple[object, ...]] = {
    "allowPrivilegeEscalation": (False,),
    "automountServiceAccountToken": (False,),
    "emptyDir": ({},),
    "enableServiceLinks": (False,),
    "maxSurge": (0,),
    "podSelector": ({},),
    "runAsGroup": (0,),
    "runAsUser": (0,),
}
# Lists of objects that apply merges by a key.
_MERGE_KEYS = {
    "containers": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
_QUANTITIES = {"hard", "limits", "requests"}
_QUANTITY = re.compile(r"(?P<number>[+-]?[0-9]*\.?[0-9]+)(?P<suffix>[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?")
_DECIMAL = {"n": -3, "u": -2, "m": -1, "": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
_BINARY = {"": 0, "Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def server_changes(manifest: dict[str, Any]) -> list[str]:
    """Return the fields of an object that the API server would change, each with the reason."""
    name = f"{manifest['kind']}/{manifest['metadata']['name']}"
    return [f"{name}: {change}" for change in _of_mapping(manifest, "")]


def as_stored(value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    """Return a value of a manifest as the API server stores it: without the empty fields that it drops."""
    if isinstance(value, list):
        return [as_stored(item) for item in value]
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if item or _is_kept(key, item)}
        return {key: as_stored(item) for key, item in kept.items()}
    return value


def canonical_quantity(text: str) -> str:
    """Return a quantity as the API server writes it, such as `500m` for `0.5`.

    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/

    Raises:
        ValueError: It is not a quantity.
    """
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a quantity")
    number, suffix = Fraction(found["number"]), found["suffix"] or ""
    if suffix.endswith("i"):
        value = number * 1024 ** _BINARY[suffix]
        if value.denominator == 1:
            return _scaled(value, _BINARY, 1024)
    elif suffix[:1] in ("e", "E") and len(suffix) > 1:
        raise ValueError(f"{text!r}: write it without an exponent")
    else:
        value = number * Fraction(1000) ** _DECIMAL[suffix]
    return _scaled(value, _DECIMAL, 1000)


def _scaled(value: Fraction, suffixes: dict[str, int], step: int) -> str:
    """Return a number with the largest suffix that leaves no fraction."""
    for suffix, power in sorted(suffixes.items(), key=lambda item: -item[1]):
        scaled = value / Fraction(step) ** power
        if scaled.denominator == 1 and (scaled or power == 0):
            return f"{scaled.numerator}{suffix}"
    raise ValueError(f"{value} is finer than a quantity can be")


def _of_mapping(mapping: dict[str, Any], path: str) -> Iterator[str]:
    for key, value in mapping.items():
        where = f"{path}.{key}" if path else str(key)
        if not value and not _is_kept(key, value):
            yield f"{where} is {value!r}, which is dropped; leave it out"
        if key in _QUANTITIES and isinstance(value, dict):
            for resource, quantity in value.items():
                yield from _of_quantity(quantity, f"{where}.{resource}")
        elif key == "sizeLimit":
            yield from _of_quantity(value, where)
        elif isinstance(value, dict):
            yield from _of_mapping(value, where)
        elif isinstance(value, list):
            yield from _of_list(key, value, where)


def _of_list(key: str, items: list[Any], path: str) -> Iterator[str]:
    keys = [_merge_key(key, item) for item in items if isinstance(item, dict)]
    for merge_key, count in Counter(keys).items():
        if merge_key is not None and count > 1:
            yield f"{path} has {count} items with {merge_key}, which apply merges into one"
    for index, item in enumerate(items):
        if isinstance(item, dict):
            yield from _of_mapping(item, f"{path}[{index}]")


def _of_quantity(value: object, path: str) -> Iterator[str]:
    canonical = canonical_quantity(str(value))
    if value != canonical:
        yield f"{path} is {value!r}, which becomes {canonical!r}"


def _merge_key(list_name: str, item: dict[str, Any]) -> str | None:
    if list_name == "ports":
        # Those of a container are merged by containerPort, those of a Service by port, whatever the protocol.
        key = "containerPort" if "containerPort" in item else "port"
    else:
        key = _MERGE_KEYS.get(list_name, "")
    return f"{key} {item[key]}" if key in item else None


def _is_kept(key: str, value: object) -> bool:
    return any(type(value) is type(kept) and value == kept for kept in _KEPT.get(key, ()))
