"""The shells that the runtime must work in, and how a test runs a script in one."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

RUNTIME = Path(__file__).parent
ACTIVATE = RUNTIME / "activate.sh"
EXEC = RUNTIME / "exec"
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True)
class Shell:
    """A shell with the arguments for the mode to test.

    Attributes:
        name: As tests show it.
        command: Its command line, before `-c`.
    """

    name: str
    command: tuple[str, ...]

    @property
    def installed(self) -> bool:
        """True if the shell is on the PATH."""
        return shutil.which(self.command[0], path=SYSTEM_PATH) is not None

    def run(self, script: str, variables: Mapping[str, str], *, wrapper: tuple[str, ...] = ()) -> "Outcome":
        """Run a script; `$activate` in it is the path of activate.sh.

        Args:
            script: The shell's `-c`.
            variables: All variables but PATH, HOME and activate.
            wrapper: A command that runs the shell.

        Returns:
            How it ended.
        """
        # (Bazel gives tests no home; one that cannot be written to is a case of its own.)
        home = os.environ.get("HOME", tempfile.gettempdir())
        environment = {"PATH": SYSTEM_PATH, "HOME": home, "activate": str(ACTIVATE)}
        return run([*wrapper, *self.command, "-c", script], environment | dict(variables))


@dataclass(frozen=True, slots=True)
class Outcome:
    """The exit code and the output of a program.

    Attributes:
        code: Its exit code.
        stdout: What it printed.
        stderr: What it said.
    """

    code: int
    stdout: str
    stderr: str

    @property
    def variables(self) -> dict[str, str]:
        """The variables that `env` printed."""
        return dict(line.partition("=")[::2] for line in self.stdout.splitlines())


SHELLS = (
    Shell("dash", ("dash",)),
    Shell("bash", ("bash", "--norc")),
    Shell("bash --posix", ("bash", "--norc", "--posix")),
    Shell("busybox ash", ("busybox", "ash")),
    Shell("zsh --emulate sh", ("zsh", "--emulate", "sh")),
    Shell("zsh", ("zsh",)),
)


def activated(
    shell: Shell, variables: Mapping[str, str], script: str = '. "$activate"; env'
) -> dict[str, str]:
    """Return the variables after an activation that succeeds and prints nothing."""
    outcome = shell.run(script, variables)
    assert outcome.code == 0, outcome.stderr  # noqa: S101 (of a test)
    assert not outcome.stderr, outcome.stderr  # noqa: S101
    return outcome.variables


def run(command: list[str], environment: Mapping[str, str]) -> Outcome:
    """Run a program with just these variables."""
    ended = subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, timeout=120, check=False
    )
    return Outcome(ended.returncode, ended.stdout, ended.stderr)


def read_only(folder: Path) -> tuple[str, ...]:
    """Return the start of a command line that runs the rest with the folder mounted read-only."""
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    wrapper = ("unshare", "--mount", "--", "sh", "-c", script, str(folder))
    if run([*wrapper, "true"], {"PATH": SYSTEM_PATH}).code != 0:
        pytest.skip("this user may not mount")
    return wrapper
