"""Renders the objects of a base for `kubectl apply -f` and `podman kube play`.

It sets the namespace, the images and environment variables. kustomize does the same with the same base, and
rendering_test compares the results.
"""

import copy
from collections.abc import Mapping
from typing import Any

import yaml

from tools.deploy.base import Base, Manifest
from tools.deploy.errors import ManifestError

# Of the kinds that Monobase's bases have. kustomize knows all that Kubernetes itself defines.
_OF_NO_NAMESPACE = {"PriorityClass"}


def render(
    base: Base, namespace: str | None = None, variables: Mapping[str, str] | None = None
) -> list[Manifest]:
    """Render a base.

    Args:
        base: The base; it is not changed.
        namespace: Namespace of the objects, instead of the base's.
        variables: Environment variables of its containers: they replace or extend the existing ones.

    Returns:
        The objects, in the order of the base.

    Raises:
        ManifestError: An image has no digest, or no object has a container for the variables.
    """
    manifests = copy.deepcopy(list(base.manifests))
    namespace = namespace or base.namespace
    references = {image.name: image.reference for image in base.images}
    containers = 0
    for manifest in manifests:
        if namespace is not None:
            _move(manifest, namespace)
        for container in _containers(manifest):
            containers += 1
            name = container["image"]
            if name not in references:
                known = ", ".join(sorted(references)) or "none"
                raise ManifestError(f"{base.directory}: names the image {name}, and has digests of: {known}")
            container["image"] = references[name]
            _set_variables(container, variables or {})
    if variables and not containers:
        raise ManifestError(f"{base.directory}: has no container that {', '.join(variables)} could go to")
    return manifests


def to_yaml(manifests: list[Manifest]) -> str:
    """Write objects as one YAML text."""
    return yaml.dump_all(manifests, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)


def _move(manifest: Manifest, namespace: str) -> None:
    metadata = manifest.setdefault("metadata", {})
    if manifest["kind"] == "Namespace":
        metadata["name"] = namespace
    elif manifest["kind"] not in _OF_NO_NAMESPACE:
        metadata["namespace"] = namespace


def _containers(manifest: Manifest) -> list[dict[str, Any]]:
    """Return the containers of a Pod, or of the Pod template of a workload such as a DaemonSet."""
    spec = manifest.get("spec", {})
    pod = spec if manifest["kind"] == "Pod" else spec.get("template", {}).get("spec", {})
    return [*pod.get("initContainers", ()), *pod.get("containers", ())]


def _set_variables(container: dict[str, Any], variables: Mapping[str, str]) -> None:
    if not variables:
        return
    entries = container.setdefault("env", [])
    for name, value in variables.items():
        # The API server drops an empty value, so that a client-side apply would never say `unchanged`.
        entry = {"name": name, "value": value} if value else {"name": name}
        for index, existing in enumerate(entries):
            if existing["name"] == name:
                entries[index] = entry
                break
        else:
            entries.append(entry)


class _Dumper(yaml.SafeDumper):
    """Indents the items of a list below its key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, indentless=False)
