"""The variables of a model that select an environment (runtime/README.md)."""

from gens.generation import Environment


def selecting_variables(generation_id: int, environment: Environment) -> dict[str, str]:
    """Return the variables that select exactly one environment.

    The toolkit is not selected: a model that compiles sets `CUDA_VERSION` itself.

    Args:
        generation_id: ID of the generation.
        environment: Its environment.

    Returns:
        The variables of activation.
    """
    variables = {"MONOBASE_GEN_ID": str(generation_id), "PYTHON_VERSION": environment.python}
    if environment.stack is not None:
        version = "" if environment.stack_version is None else f"=={environment.stack_version}"
        variables["MONOBASE_STACK"] = f"{environment.stack}{version}"
    elif environment.torch is not None:
        variables["TORCH_VERSION"] = f"{environment.torch}+{environment.build}"
    return variables
