"""Tests of the variables that a process in an environment begins with."""

from pathlib import Path

from daemon.cli.shell_variables import callers_variables, layer_variables, selecting_variables
from gens.generation import Environment, Generation, Inputs, Toolkit

_INPUTS = Inputs("3.12.1", "x86_64-manylinux_2_34", "2026-11-01T00:00:00Z", ())
_TORCH = Environment("3.12", "3.12.1", _INPUTS, "2.13.0", "cu130", "13.0")
_TOOLKIT = Toolkit("cuda", "13.0", "13.0.2", _INPUTS)
_GENERATION = Generation(2, _INPUTS.platform, _INPUTS.exclude_newer, {}, (_TORCH,), (_TOOLKIT,))
_PREFIX = Path("/home/u/monobase")


def _selected(environment: Environment, toolkit: Toolkit | None = None, **variables: str) -> dict[str, str]:
    return selecting_variables(variables, _PREFIX, _GENERATION, environment, toolkit)


def test_what_bazel_has_added_and_what_leads_to_another_python_is_not_passed_on() -> None:
    variables = {
        "HOME": "/home/u", "RUNFILES_DIR": "/b/daemon.runfiles", "BUILD_WORKSPACE_DIRECTORY": "/w",
        "PYTHONPATH": "/b/daemon.runfiles/_main:/home/u/lib", "PYTHONHOME": "/usr",
        "VIRTUAL_ENV_PROMPT": "(v) ", "CONDA_PREFIX": "/c/envs/x", "CONDA_PREFIX_1": "/c", "CONDA_SHLVL": "2",
        "CONDA_EXE": "/c/bin/conda", "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    assert callers_variables(variables) == {
        "HOME": "/home/u", "CONDA_EXE": "/c/bin/conda", "PYTHONUNBUFFERED": "1",
    }  # fmt: skip


def test_the_layer_of_a_shell_is_not_that_of_a_shell_in_it() -> None:
    inside = layer_variables({"HOME": "/home/u"}, Path("/cache/layer"))
    assert inside["MONOBASE_USER_VENV"] == "/cache/layer"
    assert callers_variables(inside) == {"HOME": "/home/u"}
    other = {**inside, "MONOBASE_USER_VENV": "/home/u/top"}
    assert callers_variables(other) == {"HOME": "/home/u", "MONOBASE_USER_VENV": "/home/u/top"}


def test_an_environment_with_torch_is_named_with_its_build_and_its_toolkit() -> None:
    assert _selected(_TORCH, _TOOLKIT) == {
        "MONOBASE_PREFIX": "/home/u/monobase", "MONOBASE_GEN_ID": "2", "PYTHON_VERSION": "3.12",
        "TORCH_VERSION": "2.13.0+cu130", "CUDA_VERSION": "13.0", "MONOBASE_USER_VENV": "",
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip


def test_what_selected_another_environment_is_replaced() -> None:
    plain = Environment("3.12", "3.12.1", _INPUTS)
    found = _selected(
        plain, TORCH_VERSION="1.0", CUDA_VERSION="9", CUDNN_VERSION="9", MONOBASE_STACK="x",
        MONOBASE_WAIT_S="9", MONOBASE_FIT="warn",
    )  # fmt: skip
    assert {name for name in found if name.startswith(("TORCH", "CUD"))} == set()
    assert "MONOBASE_STACK" not in found
    assert "MONOBASE_WAIT_S" not in found
    assert found["MONOBASE_FIT"] == "warn"


def test_a_stack_is_named_with_its_version_if_it_has_one() -> None:
    for version, value in (("0.33.0", "vllm==0.33.0"), (None, "vllm")):
        stack = Environment(
            "3.12", "3.12.1", _INPUTS, "2.13.0", "cu130", "13.0", stack="vllm", stack_version=version
        )
        found = _selected(stack)
        assert found["MONOBASE_STACK"] == value
        assert "TORCH_VERSION" not in found


def test_only_a_venv_on_top_that_was_named_is_used() -> None:
    assert _selected(_TORCH, VIRTUAL_ENV="/home/u/.venv")["MONOBASE_USER_VENV"] == ""
    assert _selected(_TORCH, MONOBASE_USER_VENV="/home/u/top")["MONOBASE_USER_VENV"] == "/home/u/top"
