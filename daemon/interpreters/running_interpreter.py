"""An interpreter on this machine, as it describes itself when it is run."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import InterpreterError

_DESCRIBE = (
    "import json, platform, sys; print(json.dumps({'version': platform.python_version(), "
    "'tag': sys.implementation.cache_tag, 'path': sys.executable}))"
)
_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Interpreter:
    """An interpreter on this machine.

    Attributes:
        executable: Its path.
        version: Its full version, such as `3.11.10`.
        cache_tag: Part of the names of its bytecode files, such as `cpython-311`.
        managed: Whether it is on the prefix.
    """

    executable: Path
    version: str
    cache_tag: str
    managed: bool

    @property
    def minor(self) -> str:
        """The minor version, such as `3.11`."""
        return minor_of(self.version)

    @property
    def bytecode_key(self) -> str:
        """Key of its bytecode in the shared store; bytecode may differ between patch releases."""
        return f"{self.cache_tag}-{self.version}"


def minor_of(version: str) -> str:
    """Return the minor version of a full one: `3.11` of `3.11.10`."""
    return ".".join(version.split(".")[:2])


def describe(executable: Path, *, managed: bool) -> Interpreter:
    """Run an interpreter to learn its version.

    Args:
        executable: Its path.
        managed: Whether it is on the prefix.

    Raises:
        InterpreterError: It does not run, or is not a Python.
    """
    try:
        answer = subprocess.run(
            # -B: run by root, it would write bytecode beside the sources that a manifest lists.
            [executable, "-I", "-S", "-B", "-c", _DESCRIBE],
            capture_output=True, text=True, check=True, timeout=_TIMEOUT_S, env=plain_variables(os.environ),
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        facts = json.loads(answer.stdout)
        version, tag, path = (str(facts[name]) for name in ("version", "tag", "path"))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise InterpreterError(f"{executable}: does not run: {error}") from error
    # A managed one keeps the spelling of the prefix; a system one may be a shim, and reports its real path.
    return Interpreter(executable if managed else Path(path).resolve(), version, tag, managed)


def plain_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables without those that Python reads, and without Monobase's own."""
    return {
        name: value for name, value in environment.items() if not name.startswith(("PYTHON", "MONOBASE_"))
    }
