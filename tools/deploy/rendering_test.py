"""Rendering: without kustomize the same objects as with it."""

from pathlib import Path

import pytest
import yaml

from tools.deploy.base import Base, Image, Manifest, pinned, read_base
from tools.deploy.errors import ManifestError
from tools.deploy.kustomize import kustomize, overlay
from tools.deploy.rendering import render, to_yaml

DIGEST = "sha256:" + "2" * 64
# With and without a namespace of their own, a Pod, a template, containers of both kinds.
MANIFESTS = """\
apiVersion: v1
kind: Namespace
metadata: {name: before}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: a, namespace: other}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: a}
value: 1
---
apiVersion: v1
kind: Pod
metadata: {name: a}
spec:
  initContainers: [{name: first, image: an-image}]
  containers: [{name: main, image: another-image}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: a}
spec:
  selector: {matchLabels: {a: "yes"}}
  template:
    metadata: {labels: {a: "yes"}}
    spec:
      containers:
        - name: main
          image: an-image
          env: [{name: A, value: "1"}, {name: B, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
"""


@pytest.fixture
def base(tmp_path: Path) -> Base:
    directory = tmp_path / "source"
    directory.mkdir()
    images = (
        Image("an-image", DIGEST, "registry.example:5000/team/an-image"),
        Image("another-image", DIGEST),
    )
    text = pinned("namespace: before\nresources: [all.yaml]\n", images)
    (directory / "kustomization.yaml").write_text(text)
    (directory / "all.yaml").write_text(MANIFESTS)
    return read_base(directory)


def _sorted(manifests: list[Manifest]) -> list[Manifest]:
    # kustomize goes by kinds, of which a cluster needs but Namespace first.
    return sorted(manifests, key=lambda manifest: str(manifest["kind"]))


def test_a_base_is_rendered_as_kustomize_renders_it(base: Base) -> None:
    assert _sorted(render(base)) == _sorted(kustomize(base.directory))


def test_another_namespace_is_that_of_an_overlay(base: Base, tmp_path: Path) -> None:
    expected = kustomize(overlay(tmp_path / "overlay", "../source", {"namespace": "after"}))
    assert _sorted(render(base, "after")) == _sorted(expected)


def test_another_registry_is_that_of_an_overlay(base: Base, tmp_path: Path) -> None:
    names = {"an-image": "registry.example:5000/team/an-image", "another-image": "another-image"}
    fields = {
        "images": [{"name": name, "newName": f"moved.example/{image}"} for image, name in names.items()]
    }
    expected = kustomize(overlay(tmp_path / "overlay", "../source", fields))
    rendered = render(base.in_registry("moved.example"))
    assert _sorted(rendered) == _sorted(expected)


def test_variables_replace_and_follow_those_of_every_container(base: Base) -> None:
    *_, pod, daemon_set = render(base, variables={"B": "2", "C": "x=y"})
    assert daemon_set["spec"]["template"]["spec"]["containers"][0]["env"] == [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "2"},
        {"name": "C", "value": "x=y"},
    ]
    for kind in ("initContainers", "containers"):
        assert pod["spec"][kind][0]["env"] == [{"name": "B", "value": "2"}, {"name": "C", "value": "x=y"}]


def test_the_base_stays_as_it_is(base: Base) -> None:
    before = to_yaml(list(base.manifests))
    render(base, "after", {"A": "2"})
    assert to_yaml(list(base.manifests)) == before


def test_an_image_without_a_digest_is_refused(base: Base) -> None:
    with pytest.raises(ManifestError, match="names the image another-image, and has digests of: an-image"):
        render(Base(base.directory, None, base.manifests, base.images[:1]))


def test_variables_without_a_container_are_refused(base: Base) -> None:
    with pytest.raises(ManifestError, match="no container that A could go to"):
        render(Base(base.directory, None, base.manifests[:2], ()), variables={"A": "1"})


@pytest.mark.parametrize(
    "value", ["true", "1", "", "0x1", "1e3", "on", "~", "a: b", "# a", "ü\n€", "2026-01-01"]
)
def test_a_string_stays_a_string_in_yaml(value: str) -> None:
    manifest = {"kind": "Pod", "value": value}
    assert list(yaml.safe_load_all(to_yaml([manifest, manifest]))) == [manifest, manifest]
