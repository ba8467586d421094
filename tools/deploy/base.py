"""A base: a folder with a `kustomization.yaml`, the manifests that it names, the digests that Bazel adds.

https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/ defines the file. This module reads the
fields that Monobase's bases have and refuses others: for those, use an overlay and kustomize.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from tools.deploy.errors import ManifestError

FILE_NAME = "kustomization.yaml"
Manifest = dict[str, Any]
_KNOWN_FIELDS = {"apiVersion", "kind", "namespace", "resources", "images"}


@dataclass(frozen=True, slots=True)
class Image:
    """An image that manifests name.

    Attributes:
        name: Name in the manifests.
        digest: Digest of the image manifest, `sha256:…`.
        repository: Repository that clusters pull it from; None where an overlay or `render` sets it.
    """

    name: str
    digest: str
    repository: str | None = None

    @property
    def reference(self) -> str:
        """Return the reference that replaces its name in manifests."""
        return f"{self.repository or self.name}@{self.digest}"

    def in_registry(self, registry: str) -> "Image":
        """Return the image with a repository below a registry: REGISTRY/NAME."""
        return replace(self, repository=f"{registry.rstrip('/')}/{self.name}")


@dataclass(frozen=True, slots=True)
class Base:
    """A base, as `read_base` returns it.

    Attributes:
        directory: Its folder.
        namespace: Namespace of its objects, or None.
        manifests: Its objects, in the order of its `resources`.
        images: Its images.
    """

    directory: Path
    namespace: str | None
    manifests: tuple[Manifest, ...]
    images: tuple[Image, ...]

    def in_registry(self, registry: str) -> "Base":
        """Return the base with all its images below a registry."""
        return replace(self, images=tuple(image.in_registry(registry) for image in self.images))


def pinned(kustomization: str, images: Iterable[Image]) -> str:
    """Add images to a `kustomization.yaml`.

    Args:
        kustomization: Its text, which is kept unchanged, with its comments.
        images: The images.

    Returns:
        The new text.

    Raises:
        ManifestError: It already has images.
    """
    if "images" in _mapping(kustomization, Path(FILE_NAME)):
        raise ManifestError(f"{FILE_NAME}: already has `images`; a base whose images Bazel pins has none")
    entries = [
        {"name": image.name}
        | ({"newName": image.repository} if image.repository is not None else {})
        | {"digest": image.digest}
        for image in images
    ]
    block = yaml.safe_dump({"images": entries}, sort_keys=False)
    return f"{kustomization.rstrip()}\n# Written by Bazel: the images of this commit.\n{block}"


def read_base(directory: Path) -> Base:
    """Read a base.

    Args:
        directory: Its folder.

    Returns:
        The base.

    Raises:
        ManifestError: It is malformed, or has a field that only kustomize supports.
    """
    path = directory / FILE_NAME
    fields = _mapping(_text(path), path)
    unknown = sorted(fields.keys() - _KNOWN_FIELDS)
    if unknown:
        raise ManifestError(
            f"{path}: `{unknown[0]}` is for kustomize, which does more than this tool: "
            f"`kubectl kustomize {directory}`"
        )
    try:
        images = tuple(
            Image(entry["name"], entry["digest"], entry.get("newName")) for entry in fields.get("images", ())
        )
        names = [str(name) for name in fields["resources"]]
    except (KeyError, TypeError) as error:
        raise ManifestError(
            f"{path}: needs `resources`, and `name` and `digest` of each image: {error!r}"
        ) from error
    manifests = tuple(manifest for name in names for manifest in _manifests(directory / name))
    return Base(directory, fields.get("namespace"), manifests, images)


def _manifests(path: Path) -> list[Manifest]:
    try:
        documents = list(yaml.safe_load_all(_text(path)))
    except yaml.YAMLError as error:
        raise ManifestError(f"{path}: is not YAML: {error}") from error
    for document in documents:
        if not isinstance(document, dict) or "kind" not in document:
            raise ManifestError(f"{path}: holds something that is not a Kubernetes object")
    return documents


def _mapping(text: str, path: Path) -> dict[str, Any]:
    try:
        fields = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ManifestError(f"{path}: is not YAML: {error}") from error
    if not isinstance(fields, dict):
        raise ManifestError(f"{path}: is not a YAML mapping")
    return fields


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {error.strerror}") from error
