"""The hint that `install` prints at its end: a command that uses an installed environment."""

import shlex
from collections.abc import Iterable, Sequence

from daemon.prefix.prefix import Prefix
from gens.generation import Environment, Generation


def installed_environments(prefix: Prefix, generations: Iterable[Generation]) -> list[str]:
    """Return the environments of generations that are on the prefix, as `g00003/python3.11`.

    Args:
        prefix: The prefix.
        generations: The generations to look for.
    """
    return [
        f"{generation.directory_name}/{environment.name}"
        for generation in generations
        for environment in generation.environments
        if prefix.target(generation.directory_name, environment.name).is_dir()
    ]


def usage_hint(prefix: Prefix, generations: Iterable[Generation], labels: Sequence[str]) -> str:
    """Return commands that use the richest of some environments.

    Args:
        prefix: The prefix.
        generations: The generations that they are of.
        labels: Environments and toolkits, as `g00003/cuda12.4`.

    Returns:
        Lines; empty when there is no environment among them.
    """
    cells = {
        f"{generation.directory_name}/{cell.name}": (generation, cell)
        for generation in generations
        for cell in generation.environments
    }
    environments = [label for label in labels if label in cells]
    if not environments:
        return ""
    label = max(environments, key=lambda label: (cells[label][1].torch is not None, label))
    generation, cell = cells[label]
    python = prefix.target(generation.directory_name, cell.name) / "bin" / "python"
    statement = "import torch; print(torch.ones(2) + 1)" if cell.torch else "import sys; print(sys.version)"
    return (
        f"\nTo use {label} here:\n"
        f"  {shlex.quote(str(python))} -c {shlex.quote(statement)}\n"
        f"In a container, mount {prefix.root} read-only at the same path and let runtime/exec activate it:\n"
        f"  MONOBASE_PREFIX={shlex.quote(str(prefix.root))} MONOBASE_GEN_ID={generation.id} "
        f"{_variables(cell)}\n"
    )


def _variables(cell: Environment) -> str:
    if cell.stack is not None:
        version = f"=={cell.stack_version}" if cell.stack_version is not None else ""
        return f"PYTHON_VERSION={cell.python} MONOBASE_STACK={cell.stack}{version}"
    torch = f" TORCH_VERSION={cell.torch}" if cell.torch is not None else ""
    cuda = f" CUDA_VERSION={cell.cuda}" if cell.cuda is not None else ""
    return f"PYTHON_VERSION={cell.python}{torch}{cuda}"
