"""The hint that `install` prints at its end: a command that uses an installed environment."""

import re
import shlex
from collections.abc import Iterable, Sequence

from daemon.prefix.prefix import Prefix
from gens.generation import Generation


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


def usage_hint(prefix: Prefix, labels: Sequence[str]) -> str:
    """Return commands that use the richest of some environments.

    Args:
        prefix: The prefix.
        labels: Environments and toolkits, as `g00003/cuda12.4`.

    Returns:
        Lines; empty when there is no environment among them.
    """
    environments = [label for label in labels if "/python" in label]
    if not environments:
        return ""
    label = max(environments, key=lambda label: ("-torch" in label, label))
    generation, _, name = label.partition("/")
    python = prefix.target(generation, name) / "bin" / "python"
    statement = (
        "import torch; print(torch.ones(2) + 1)" if "-torch" in name else "import sys; print(sys.version)"
    )
    return (
        f"\nTo use {label} here:\n"
        f"  {shlex.quote(str(python))} -c {shlex.quote(statement)}\n"
        f"In a container, mount {prefix.root} read-only at the same path and let runtime/exec activate it:\n"
        f"  MONOBASE_PREFIX={shlex.quote(str(prefix.root))} MONOBASE_GEN_ID={int(generation[1:])} "
        f"{_variables(name)}\n"
    )


def _variables(name: str) -> str:
    stack = re.fullmatch(r"python(?P<python>[^-]+)-(?P<name>[a-z][a-z_]*)(?P<version>[0-9][^-]*)?", name)
    if stack is not None:
        version = f"=={stack['version']}" if stack["version"] else ""
        return f"PYTHON_VERSION={stack['python']} MONOBASE_STACK={stack['name']}{version}"
    found = re.fullmatch(r"python(?P<python>[^-]+)(?:-torch(?P<torch>[^-]+)-(?P<build>.+))?", name)
    if found is None or found["torch"] is None:
        return f"PYTHON_VERSION={name.removeprefix('python')}"
    cuda = re.fullmatch(r"cu(?P<major>[0-9]+)(?P<minor>[0-9])", found["build"])
    version = f" CUDA_VERSION={cuda['major']}.{cuda['minor']}" if cuda is not None else ""
    return f"PYTHON_VERSION={found['python']} TORCH_VERSION={found['torch']}{version}"
