"""The variables of a process in an environment, before the runtime activates it."""

import re
from collections.abc import Mapping
from pathlib import Path

from gens.generation import Environment, Generation, Toolkit

# The variables that select an environment in a model: here the command line does.
_SELECTING = (
    "CUDA_VERSION", "CUDNN_VERSION", "MONOBASE_GEN_ID", "MONOBASE_PREFIX", "MONOBASE_STACK",
    "MONOBASE_WAIT_S", "PYTHON_VERSION", "TORCH_VERSION",
)  # fmt: skip
# What Bazel sets for the program that it runs.
_BAZEL = (
    "BUILD_EXECROOT", "BUILD_ID", "BUILD_WORKING_DIRECTORY", "BUILD_WORKSPACE_DIRECTORY", "JAVA_RUNFILES",
    "PYTHON_RUNFILES", "RUNFILES_DIR", "RUNFILES_MANIFEST_FILE", "RUNFILES_MANIFEST_ONLY",
)  # fmt: skip
# What leads the Python of the environment, or its tools, to packages of another, such as an active conda.
# (The runtime takes the folders of VIRTUAL_ENV off the PATH, and replaces it. A command that needs PYTHONPATH
# is run as `env PYTHONPATH=src python`.)
_PYTHONS = re.compile(
    r"PYTHONPATH|PYTHONHOME|PYTHONUSERBASE|VIRTUAL_ENV_PROMPT|"
    r"CONDA_(?:PREFIX(?:_[0-9]+)?|DEFAULT_ENV|PROMPT_MODIFIER|SHLVL)"
)
_LAYER = "MONOBASE_SHELL_LAYER"
# What decides which environment the runtime activates, and which packages its Python sees.
DECIDING = (
    *_SELECTING, "MONOBASE_LAYER_FIT", "MONOBASE_USER_VENV",
    "PYTHONHOME", "PYTHONPATH", "PYTHONUSERBASE",
)  # fmt: skip


def callers_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables as the user had them: no others of Bazel, none that lead to another Python.

    Args:
        variables: The variables of this process.
    """
    found = {
        name: value
        for name, value in variables.items()
        if name not in _BAZEL and not _PYTHONS.fullmatch(name)
    }
    # In a shell with a layer, another shell has its own or none.
    if found.pop(_LAYER, None) == found.get("MONOBASE_USER_VENV", ""):
        found.pop("MONOBASE_USER_VENV", None)
    return found


def layer_variables(variables: Mapping[str, str], layer: Path) -> dict[str, str]:
    """Return variables with which the runtime activates a layer, too.

    Args:
        variables: Those with which it activates the environment.
        layer: The layer.
    """
    return {**variables, "MONOBASE_USER_VENV": str(layer), _LAYER: str(layer)}


def selecting_variables(
    variables: Mapping[str, str],
    prefix: Path,
    generation: Generation,
    environment: Environment,
    toolkit: Toolkit | None,
) -> dict[str, str]:
    """Return variables with which the runtime activates an environment.

    Args:
        variables: The variables of the caller.
        prefix: The prefix.
        generation: The generation of the environment.
        environment: The environment.
        toolkit: The toolkit to activate; None for none.
    """
    found = {name: value for name, value in variables.items() if name not in _SELECTING}
    found["MONOBASE_PREFIX"] = str(prefix)
    found["MONOBASE_GEN_ID"] = str(generation.id)
    found["PYTHON_VERSION"] = environment.python
    # Without it, the runtime would take the virtual environment that is active at the caller as one on top.
    found["MONOBASE_USER_VENV"] = variables.get("MONOBASE_USER_VENV", "")
    # As in a model, whose prefix is read-only: Python writes nothing into an environment.
    found.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    if environment.stack is not None:
        version = f"=={environment.stack_version}" if environment.stack_version is not None else ""
        found["MONOBASE_STACK"] = f"{environment.stack}{version}"
    elif environment.torch is not None:
        found["TORCH_VERSION"] = f"{environment.torch}+{environment.build}"
    if toolkit is not None:
        found["CUDA_VERSION"] = toolkit.version
    return found
