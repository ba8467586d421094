"""Reads what a chart is made of: the objects of a base, and what each of its components adds to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.deploy.base import Manifest, read_base
from tools.deploy.errors import ManifestError


@dataclass(frozen=True, slots=True)
class Sources:
    """The objects of a base and of its components.

    Attributes:
        base: Objects of the base, by kind.
        components: The folders of the components, by name.
    """

    base: Mapping[str, Manifest]
    components: Mapping[str, Path]

    def object_of(self, component: str, kind: str) -> Manifest:
        """Return the object of a kind that a component adds.

        Raises:
            ManifestError: It adds none, or several.
        """
        directory = self._directory(component)
        names = _kustomization(directory).get("resources", ())
        found = [manifest for name in names for manifest in _documents(directory / name)]
        return _only(found, kind, directory)

    def config_map_of(self, component: str) -> Manifest:
        """Return the ConfigMap that a component generates of files, without its namespace.

        Raises:
            ManifestError: A file cannot be read.
        """
        directory = self._directory(component)
        (generator,) = _kustomization(directory)["configMapGenerator"]
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": generator["name"], "labels": generator["options"]["labels"]},
            "data": {name: _text(directory / name) for name in generator["files"]},
        }

    def patch_of(self, component: str, kind: str) -> Manifest:
        """Return the strategic merge patch of a component for a kind.

        Raises:
            ManifestError: It has none, or several.
        """
        directory = self._directory(component)
        found = []
        for patch in _kustomization(directory).get("patches", ()):
            text = _text(directory / patch["path"]) if "path" in patch else patch["patch"]
            found += [document for document in yaml.safe_load_all(text) if isinstance(document, dict)]
        return _only(found, kind, directory)

    def added_of(self, component: str, kind: str) -> Any:  # noqa: ANN401 (any JSON value)
        """Return the value that a component's one JSON patch for a kind adds.

        Raises:
            ManifestError: It has no such patch, or several, or one that does more than to add.
        """
        directory = self._directory(component)
        found = []
        for patch in _kustomization(directory).get("patches", ()):
            operations = yaml.safe_load(patch.get("patch", "")) if patch["target"]["kind"] == kind else None
            if isinstance(operations, list):
                found += operations
        if len(found) != 1 or found[0]["op"] != "add":
            raise ManifestError(f"{directory}: expected one JSON patch of a {kind} that adds one value")
        return found[0]["value"]

    def _directory(self, component: str) -> Path:
        try:
            return self.components[component]
        except KeyError:
            raise ManifestError(f"no component {component!r} among {', '.join(self.components)}") from None


def read_sources(base: Path, components: Mapping[str, Path]) -> Sources:
    """Read a base.

    Args:
        base: The folder of the base.
        components: Folders of the components, by name.

    Returns:
        The sources; components are read when they are asked for.

    Raises:
        ManifestError: The base is malformed, or has two objects of one kind.
    """
    manifests = read_base(base).manifests
    by_kind = {manifest["kind"]: manifest for manifest in manifests}
    if len(by_kind) != len(manifests):
        raise ManifestError(f"{base}: a chart is made of a base with one object of each kind")
    return Sources(by_kind, components)


def _kustomization(directory: Path) -> dict[str, Any]:
    (found,) = _documents(directory / "kustomization.yaml")
    return found


def _documents(path: Path) -> list[dict[str, Any]]:
    try:
        return list(yaml.safe_load_all(_text(path)))
    except yaml.YAMLError as error:
        raise ManifestError(f"{path}: is not YAML: {error}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {error.strerror}") from error


def _only(manifests: list[Manifest], kind: str, directory: Path) -> Manifest:
    found = [manifest for manifest in manifests if manifest.get("kind") == kind]
    if len(found) != 1:
        raise ManifestError(f"{directory}: expected one {kind}, found {len(found)}")
    return found[0]
