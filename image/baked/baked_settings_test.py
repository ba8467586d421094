import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from image.baked.baked_settings import baked_settings
from image.errors import ImageError
from image.model.baked_environment import BakedEnvironment, BakedToolkit
from image.model.derived_image import DerivedSettings, write_derived
from image.model.facts import ModelFacts
from image.model.model_settings import refuse_other_environment
from image.oci.config import ANNOTATION_PREFIX, ImageConfig, to_json
from image.oci.layer import write_layer
from image.oci.layout import Layout, to_json_bytes, write_layout

BAKED = BakedEnvironment(
    3, "python3.12-torch2.13.0-cu130", "3.12.16", "sha256:" + "b" * 64, "amd64",
    {"PYTHON_VERSION": "3.12", "TORCH_VERSION": "2.13.0+cu130"}, (),
    (BakedToolkit("cuda13.0", "sha256:c", ()),),
)  # fmt: skip


@pytest.fixture
def base(tmp_path: Path) -> Layout:
    layer = write_layer(tmp_path / "blob", [(tarfile.TarInfo("base"), None)], "base")
    labels = {f"{ANNOTATION_PREFIX}.licenses": "Apache-2.0"}
    config = to_json(ImageConfig("amd64", "2026-11-22T02:09:05Z", labels=labels), [layer])
    return write_layout(tmp_path / "layout", to_json_bytes(config), [(layer.blob, tmp_path / "blob")], {})


def test_variables_and_labels_follow_from_the_environment(base: Layout) -> None:
    given = DerivedSettings(environment={"HF_HUB_OFFLINE": "1"}, labels={"team": "one"}, user="0:0")
    found = baked_settings(BAKED, base, given, "torch")
    assert found.environment == {**BAKED.variables, "HF_HUB_OFFLINE": "1"}
    assert found.user == "0:0"
    assert found.labels == {
        "org.opencontainers.image.title": "torch", "monobase.base": BAKED.base, "team": "one",
        "monobase.environment": BAKED.environment, "monobase.generation": "3",
        "monobase.toolkits": "cuda13.0", "monobase.licenses": "Apache-2.0",
    }  # fmt: skip


def test_a_variable_that_selects_another_environment_is_refused(base: Layout) -> None:
    given = DerivedSettings(environment={"TORCH_VERSION": "2.14.0"})
    with pytest.raises(
        ImageError, match=r"^env of torch: TORCH_VERSION is '2\.14\.0', but '2\.13\.0\+cu130'"
    ):
        baked_settings(BAKED, base, given, "torch")


def test_a_model_on_it_is_refused_if_its_lock_is_for_another_environment(
    base: Layout, tmp_path: Path
) -> None:
    settings = baked_settings(BAKED, base, DerivedSettings(), "torch")
    image = write_derived(tmp_path / "image", base, [], settings)
    facts = ModelFacts(3, BAKED.environment, BAKED.base, "amd64", BAKED.variables, ())
    refuse_other_environment(image, facts)
    refuse_other_environment(base, facts)
    other = replace(facts, environment="python3.12-torch2.14.0-cu130", base="sha256:" + "d" * 64)
    with pytest.raises(
        ImageError, match=r"holds python3\.12-torch2\.13\.0-cu130 of generation 3, .* lock again"
    ):
        refuse_other_environment(image, other)
