"""Activates in a process of its own, and reports what that says and sets."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .finding import Finding

_TIMEOUT_S = 60
_ERROR, _WARNING = "monobase: error: ", "monobase: warning: "
# What an activation must not do while it is only looked at: wait, take a lease, read ahead, or write into
# a venv.
_ONLY_LOOK = {
    "MONOBASE_WAIT_S": "0",
    "MONOBASE_LEASE": "0",
    "MONOBASE_PREFETCH": "0",
    "MONOBASE_USER_VENV": "",
    "MONOBASE_LOG_LEVEL": "info",
}


@dataclass(frozen=True, slots=True)
class Activation:
    """The result of an activation.

    Attributes:
        code: Its exit code; 0 if it succeeded.
        messages: What it wrote to stderr, line by line.
        variables: The variables that it left; empty if it failed.
    """

    code: int
    messages: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> Path | None:
        """Folder of the environment; None if the activation failed."""
        return Path(self.variables["MONOBASE_ENVIRONMENT"]) if self.variables else None


def run_activated(
    runtime: Path, command: Sequence[str], variables: Mapping[str, str]
) -> tuple[int, str, str]:
    """Run a command in the environment that variables name.

    Args:
        runtime: The runtime's folder.
        command: The command.
        variables: The variables of the container.

    Returns:
        The exit code, and what it printed to stdout and stderr.
    """
    return run(["/bin/sh", str(runtime / "exec"), *command], {**variables, **_ONLY_LOOK})


def run(command: Sequence[str], variables: Mapping[str, str]) -> tuple[int, str, str]:
    """Run a command, and return its exit code, and what it printed to stdout and stderr."""
    try:
        done = subprocess.run(
            command,
            env=dict(variables), timeout=_TIMEOUT_S, check=False,
            capture_output=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return 124, "", f"monobase: error: {command[0]} did not end within {_TIMEOUT_S} s"
    except OSError as error:
        return 127, "", f"monobase: error: {command[0]}: {error.strerror}"
    return done.returncode, os.fsdecode(done.stdout), os.fsdecode(done.stderr)


def activate(runtime: Path, variables: Mapping[str, str]) -> Activation:
    """Activate the environment that variables name.

    Args:
        runtime: The runtime's folder.
        variables: The variables of the container.

    Returns:
        What that did.
    """
    code, printed, messages = run_activated(runtime, ["/usr/bin/env", "-0"], variables)
    pairs = (item.partition("=") for item in printed.split("\0") if "=" in item)
    left = {name: value for name, _, value in pairs} if code == 0 else {}
    return Activation(code, tuple(messages.splitlines()), left)


def check_activation(activation: Activation) -> Finding:
    """Report which environment is activated, or why none is."""
    lines = [line.strip() for line in activation.messages]
    if activation.environment is None:
        summary = next((line for line in lines if line.startswith(_ERROR)), "no message").removeprefix(_ERROR)
        advice = tuple(line for line in lines if not line.startswith("monobase: "))
        return Finding("environment", "problem", f"{summary} (exit code {activation.code})", advice)
    warnings = tuple(line.removeprefix(_WARNING) for line in lines if line.startswith(_WARNING))
    return Finding("environment", "warning" if warnings else "ok", str(activation.environment), warnings)


def check_python(runtime: Path, activation: Activation, variables: Mapping[str, str]) -> Finding | None:
    """Report whether the environment's Python starts; None where there is no environment."""
    if activation.environment is None:
        return None
    python = activation.environment / "bin" / "python"
    code, printed, messages = run_activated(
        runtime, [str(python), "-c", "import sys; print(sys.version.split()[0], sys.prefix)"], variables
    )
    if code == 0:
        return Finding("python", "ok", printed.strip())
    said = [line for line in messages.splitlines() if not line.startswith("monobase: info: ")]
    return Finding(
        "python", "problem", f"{python} does not start (exit code {code}): {' '.join(said[-2:])}",
        ("Is LD_PRELOAD or PYTHONPATH in the way, or the image made for another machine?",),
    )  # fmt: skip
