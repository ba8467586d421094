"""Bases: what Bazel adds to them, and what is refused."""

from pathlib import Path

import pytest
import yaml

from tools.deploy.base import Image, pinned, read_base
from tools.deploy.errors import ManifestError

DIGEST = "sha256:" + "1" * 64
KUSTOMIZATION = "# why\nkind: Kustomization\nresources: [pod.yaml] # what\n"
POD = "kind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: an-image}]}\n"


def _write(directory: Path, kustomization: str, pod: str = POD) -> Path:
    (directory / "kustomization.yaml").write_text(kustomization)
    (directory / "pod.yaml").write_text(pod)
    return directory


def test_images_are_added_below_the_text_as_it_is() -> None:
    text = pinned(KUSTOMIZATION, [Image("an-image", DIGEST)])
    assert text.startswith(KUSTOMIZATION)
    assert yaml.safe_load(text)["images"] == [{"name": "an-image", "digest": DIGEST}]


def test_a_registry_becomes_the_new_name_of_each_image() -> None:
    image = Image("an-image", DIGEST).in_registry("registry.example:5000/team/")
    assert yaml.safe_load(pinned(KUSTOMIZATION, [image]))["images"] == [
        {"name": "an-image", "newName": "registry.example:5000/team/an-image", "digest": DIGEST}
    ]


def test_images_that_are_there_already_are_not_pinned_again() -> None:
    with pytest.raises(ManifestError, match="already has `images`"):
        pinned(pinned(KUSTOMIZATION, [Image("an-image", DIGEST)]), [])


def test_what_was_pinned_is_read_back(tmp_path: Path) -> None:
    images = (Image("an-image", DIGEST), Image("another", DIGEST, "registry.example/another"))
    base = read_base(_write(tmp_path, pinned(KUSTOMIZATION, images)))
    assert base.images == images
    assert [manifest["kind"] for manifest in base.manifests] == ["Pod"]


@pytest.mark.parametrize(
    ("kustomization", "pod", "message"),
    [
        ("resources: [pod.yaml]\npatches: []\n", POD, "`patches` is for kustomize"),
        ("kind: Kustomization\n", POD, "needs `resources`"),
        ("resources: [pod.yaml]\nimages: [{name: an-image}]\n", POD, "`digest` of each image"),
        ("resources: [absent.yaml]\n", POD, r"absent\.yaml: cannot be read"),
        ("resources: [", POD, r"kustomization\.yaml: is not YAML"),
        ("- resources\n", POD, "is not a YAML mapping"),
        ("resources: [pod.yaml]\n", "a: [", r"pod\.yaml: is not YAML"),
        ("resources: [pod.yaml]\n", "- a\n", "not a Kubernetes object"),
    ],
)
def test_a_base_that_is_not_understood_is_refused(
    tmp_path: Path, kustomization: str, pod: str, message: str
) -> None:
    with pytest.raises(ManifestError, match=message):
        read_base(_write(tmp_path, kustomization, pod))
