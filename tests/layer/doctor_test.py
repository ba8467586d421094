"""The doctor on layers."""

import json
from pathlib import Path

import pytest

from layers.layer_file import LAYER_FILE
from runtime.sample_prefix import PYTHON, SamplePrefix, state_of
from runtime.shells import RUNTIME, SYSTEM_PATH, run
from tests.index.wheel import WheelSpec
from tests.layer.sample import ENVIRONMENT, layer_on, variables_of

pytest_plugins = ["runtime.fixtures"]

MINE = WheelSpec("mine", "1.0", files={"mine.py": b""})


@pytest.fixture
def layer(prefix: SamplePrefix, tmp_path: Path) -> Path:
    return layer_on(prefix, tmp_path / "layer", MINE)


def finding(prefix: SamplePrefix, layer: Path, **variables: str) -> dict[str, str] | None:
    environment = {"PATH": SYSTEM_PATH, "HOME": "/", **variables_of(prefix, layer, **variables)}
    outcome = run([str(RUNTIME / "doctor"), "--json"], environment)
    found = {it["subject"]: it for it in json.loads(outcome.stdout)["findings"]}
    return found.get("layer")


def test_a_layer_that_fits_is_right_and_stays_as_it_is(prefix: SamplePrefix, layer: Path) -> None:
    before = state_of(layer)

    found = finding(prefix, layer)

    assert found is not None
    assert (found["state"], found["found"]) == ("ok", f"{layer}, made for g00002/{ENVIRONMENT}")
    assert state_of(layer) == before


@pytest.mark.parametrize(("fit", "state"), [("on", "problem"), ("warn", "warning")])
def test_one_for_another_environment_is_named_with_both(
    prefix: SamplePrefix, layer: Path, fit: str, state: str
) -> None:
    found = finding(prefix, layer, TORCH_VERSION="2.5.1", CUDA_VERSION="12.1", MONOBASE_LAYER_FIT=fit)

    assert found is not None
    assert found["state"] == state
    assert f"g00002/{ENVIRONMENT}" in found["found"]
    assert f"g00002/python{PYTHON}-torch2.5.1-cu121" in found["found"]


@pytest.mark.parametrize(
    ("text", "what"),
    [("monobase-layer 2\n", "is of format 2, newer"), ("", "is damaged"), ("x", "is damaged")],
)
def test_one_that_cannot_be_read_is_a_problem(
    prefix: SamplePrefix, layer: Path, text: str, what: str
) -> None:
    (layer / LAYER_FILE).write_text(text)

    found = finding(prefix, layer)

    assert found is not None
    assert found["state"] == "problem"
    assert what in found["found"]


def test_one_whose_interpreter_is_missing_is_a_problem(prefix: SamplePrefix, layer: Path) -> None:
    (layer / "bin" / "python").unlink()
    (layer / "bin" / "python").symlink_to("/srv/nowhere/python")

    found = finding(prefix, layer)

    assert found is not None
    assert "leads to /srv/nowhere/python, which is not here" in found["found"]


def test_without_a_layer_nothing_is_said(prefix: SamplePrefix, tmp_path: Path) -> None:
    assert finding(prefix, tmp_path / "venv") is None
