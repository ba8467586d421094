"""The sources of a chart: what is not understood is refused with its folder."""

from pathlib import Path

import pytest

from tools.deploy.chart.chart import read_metadata
from tools.deploy.chart.sources import read_sources
from tools.deploy.errors import ManifestError

PATCH = "patches:\n  - target: {kind: DaemonSet}\n    patch: |-\n      - {op: add, path: /a, value: 1}\n"


def _write(directory: Path, kustomization: str, **files: str) -> Path:
    directory.mkdir(parents=True)
    (directory / "kustomization.yaml").write_text(kustomization)
    for name, text in files.items():
        (directory / f"{name}.yaml").write_text(text)
    return directory


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return _write(tmp_path / "base", "resources: [a.yaml]\n", a="kind: DaemonSet\nmetadata: {name: a}\n")


def test_objects_and_patches_of_a_component_are_found(tmp_path: Path, base: Path) -> None:
    one = _write(tmp_path / "one", "resources: [s.yaml]\n", s="kind: Service\nmetadata: {name: s}\n")
    sources = read_sources(base, {"one": one, "two": _write(tmp_path / "two", PATCH)})
    assert sources.object_of("one", "Service")["metadata"] == {"name": "s"}
    assert sources.added_of("two", "DaemonSet") == 1


def test_a_base_with_two_objects_of_a_kind_is_refused(tmp_path: Path) -> None:
    text = "kind: DaemonSet\nmetadata: {name: a}\n"
    base = _write(tmp_path / "base", "resources: [a.yaml, b.yaml]\n", a=text, b=text)
    with pytest.raises(ManifestError, match="one object of each kind"):
        read_sources(base, {})


def test_a_component_that_has_changed_is_refused_with_its_folder(tmp_path: Path, base: Path) -> None:
    replacing = _write(tmp_path / "two", PATCH.replace("op: add", "op: replace"))
    sources = read_sources(base, {"one": _write(tmp_path / "one", "resources: []\n"), "two": replacing})
    with pytest.raises(ManifestError, match="one: expected one Service, found 0"):
        sources.object_of("one", "Service")
    with pytest.raises(ManifestError, match="two: expected one JSON patch"):
        sources.added_of("two", "DaemonSet")
    with pytest.raises(ManifestError, match="no component 'three' among one, two"):
        sources.object_of("three", "Service")


def test_an_archive_that_is_not_a_chart_is_refused() -> None:
    with pytest.raises(ManifestError, match="not a chart"):
        read_metadata(b"a")
