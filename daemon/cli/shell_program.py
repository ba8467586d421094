"""The program that `shell` becomes: the runtime's `exec` with a command, or with the user's own shell."""

import fcntl
import os
import pwd
import shlex
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from daemon.cli.shell_variables import DECIDING
from daemon.errors import MachineError

_RUNTIME = Path(__file__).parents[2] / "runtime"
# A bash reads the user's own file first, which may put another Python first on the PATH, or export variables
# that name another environment. What the first activation has warned of is not printed again.
_BASH = """\
exec {descriptor}<&-
[ ! -r ~/.bashrc ] || . ~/.bashrc
{again}
_monobase_level=${{MONOBASE_LOG_LEVEL-warning}} MONOBASE_LOG_LEVEL=error
builtin . {activate}
MONOBASE_LOG_LEVEL=$_monobase_level
unset _monobase_level
PS1={prompt}${{PS1-}}
"""
_ZSH = Path(__file__).with_name("zsh")
_FIRST_DESCRIPTOR = 10  # the runtime's lease is 9, and scripts use those below


@dataclass(frozen=True, slots=True)
class Program:
    """A command line and its variables."""

    command: list[str]
    variables: dict[str, str]


def program(command: Sequence[str], label: str, variables: Mapping[str, str]) -> Program:
    """Return the program that activates an environment, and becomes a command or an interactive shell.

    Args:
        command: The command; empty for the user's shell.
        label: What the shell's prompt begins with.
        variables: The variables of the command, which name the environment.

    Returns:
        The command line and its variables.

    Raises:
        MachineError: The runtime's files are not beside this program.
    """
    entrypoint = _RUNTIME / "exec"
    if not entrypoint.exists():
        raise MachineError(
            f"{entrypoint}: not found: this program is built without the runtime's files; "
            "use `bazel run //daemon -- shell`"
        )
    found = Program(list(command), dict(variables)) if command else _interactive(label, variables)
    return Program(["/bin/sh", str(entrypoint), *found.command], found.variables)


def users_shell(variables: Mapping[str, str]) -> str:
    """Return the path of the user's shell: $SHELL, or else that of the user database, or else /bin/sh.

    Args:
        variables: The variables of the user.
    """
    candidates = [variables.get("SHELL", "")]
    with suppress(KeyError):  # a user without a name
        candidates.append(pwd.getpwuid(os.getuid()).pw_shell)
    # (In the toolbox of bazelw, the user's shell may not be installed.)
    found = (shutil.which(item) for item in candidates if item and not item.endswith(("/nologin", "/false")))
    return next((item for item in found if item is not None), "/bin/sh")


def _interactive(label: str, variables: Mapping[str, str]) -> Program:
    """Return the user's shell; a bash or a zsh activates again behind the user's own files."""
    shell = users_shell(variables)
    if Path(shell).name == "bash":
        return Program([shell, "--rcfile", _bash_file(label, variables), "-i"], dict(variables))
    if Path(shell).name == "zsh":
        more = {
            "MONOBASE_SHELL_ZDOTDIR": variables.get("ZDOTDIR", ""), "ZDOTDIR": str(_ZSH),
            "MONOBASE_SHELL_ACTIVATE": str(_RUNTIME / "activate.sh"), "MONOBASE_SHELL_LABEL": label,
            "MONOBASE_SHELL_AGAIN": _again(variables),
        }  # fmt: skip
        return Program([shell, "-i"], {**variables, **more})
    return Program([shell], dict(variables))


def _again(variables: Mapping[str, str]) -> str:
    """Return shell commands that undo what the user's own file did to the variables of an activation."""
    words = [f"unset {' '.join(DECIDING)}"]
    words += [f"export {name}={shlex.quote(variables[name])}" for name in DECIDING if name in variables]
    return "; ".join(words)


def _bash_file(label: str, variables: Mapping[str, str]) -> str:
    # A descriptor, not a file: nothing is left behind, whatever becomes of this process.
    with os.fdopen(os.memfd_create("monobase-shell"), "wb") as file:
        descriptor = fcntl.fcntl(file, fcntl.F_DUPFD, _FIRST_DESCRIPTOR)
        activate, prompt = shlex.quote(str(_RUNTIME / "activate.sh")), shlex.quote(f"({label}) ")
        again = _again(variables)
        text = _BASH.format(descriptor=descriptor, again=again, activate=activate, prompt=prompt)
        file.write(text.encode(errors="surrogateescape"))
    return f"/proc/self/fd/{descriptor}"
