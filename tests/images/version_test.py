"""The version in the images: labels, annotations and the daemon's own file."""

import json
import os
import tarfile
from pathlib import Path

import pytest

from gens.version import UNKNOWN, Version, read_version
from image.oci.layout import Layout
from tests.images.layouts import daemon_layout, runtime_layout

_BUILT = Path(os.environ["MONOBASE_VERSION"])


@pytest.mark.parametrize("layout", [daemon_layout(), runtime_layout()], ids=["daemon", "runtime"])
def test_labels_and_annotations_tell_the_version_and_the_commit_of_a_stamped_build_alone(
    layout: Layout,
) -> None:
    version = read_version(_BUILT)
    labels = json.loads(layout.path(layout.config).read_text())["config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == version.version
    assert ("org.opencontainers.image.revision" in labels) == (version.revision != UNKNOWN)
    assert labels.get("org.opencontainers.image.revision", UNKNOWN) == version.revision
    assert json.loads(layout.path(layout.manifest).read_text())["annotations"] == labels


def test_the_daemon_in_the_image_has_the_version_that_the_label_tells() -> None:
    layout = daemon_layout()
    with tarfile.open(layout.path(layout.layers[-1])) as layer:
        file = layer.extractfile(layer.getmember("opt/monobase/gens/version.json"))
        assert file is not None
        assert Version(**json.load(file)) == read_version(_BUILT)


def test_a_build_says_that_it_is_not_stamped_where_it_knows_no_commit() -> None:
    version = read_version(_BUILT)
    assert version.version.endswith("+unstamped") == (version.revision == UNKNOWN)
