import pytest

from image.errors import ImageError
from image.model.derived_image import DerivedSettings
from image.model.facts import ModelFacts
from image.model.model_settings import model_settings

FACTS = ModelFacts(
    3,
    "python3.12-torch2.13.0-cu130",
    "sha256:" + "b" * 64,
    "amd64",
    {"MONOBASE_GEN_ID": "3", "PYTHON_VERSION": "3.12", "TORCH_VERSION": "2.13.0+cu130"},
    (),
)


def test_the_environment_of_the_lock_is_selected_and_its_layer_is_used() -> None:
    found = model_settings(FACTS, DerivedSettings(environment={"A": "1"}), "echo")
    assert found.environment == {**FACTS.variables, "MONOBASE_USER_VENV": "/opt/venv", "A": "1"}


def test_labels_name_generation_environment_and_the_lock_of_the_base() -> None:
    found = model_settings(FACTS, DerivedSettings(labels={"team": "one"}), "echo")
    assert found.labels == {
        "org.opencontainers.image.title": "echo",
        "monobase.base": FACTS.base,
        "monobase.environment": "python3.12-torch2.13.0-cu130",
        "monobase.generation": "3",
        "team": "one",
    }


@pytest.mark.parametrize(
    ("name", "value", "decided"),
    [
        ("TORCH_VERSION", "2.12.0", "'2.13.0\\+cu130'"),
        ("MONOBASE_GEN_ID", "2", "'3'"),
        ("MONOBASE_STACK", "vllm", "not set"),
        ("MONOBASE_USER_VENV", "/mine", "'/opt/venv'"),
    ],
)
def test_a_variable_that_selects_another_environment_is_refused_with_both(
    name: str, value: str, decided: str
) -> None:
    with pytest.raises(ImageError, match=f"{name} is '{value}', but with .* it is {decided}; remove it"):
        model_settings(FACTS, DerivedSettings(environment={name: value}), "echo")


def test_a_variable_that_says_the_same_is_accepted() -> None:
    said = {"PYTHON_VERSION": "3.12", "CUDA_VERSION": "13.0"}
    assert model_settings(FACTS, DerivedSettings(environment=said), "x").environment["CUDA_VERSION"] == "13.0"
