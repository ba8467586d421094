"""Programs that end with this process: a killed installation leaves nobody who goes on writing."""

import contextlib
import ctypes
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_PRCTL = ctypes.CDLL(None).prctl
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that has ended.

    Attributes:
        code: Its exit code, negative for a signal.
        said: What it wrote to its standard error.
    """

    code: int
    said: str


def run_children(
    command: Sequence[str],
    inputs: Sequence[bytes],
    *,
    variables: Mapping[str, str],
    folder: str | None = None,
) -> list[Ended]:
    """Run a program once for each input, at the same time, and wait for all.

    There are no threads and no pipes: a signal may interrupt this process at any time. The others end then.

    Args:
        command: Program and arguments.
        inputs: The standard inputs.
        variables: Its environment variables.
        folder: Its working folder; None for that of this process.

    Returns:
        What became of each.

    Raises:
        OSError: It cannot be started, or there is no room for what it says.
    """
    parent = os.getpid()

    def die_with_parent() -> None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the call
            os._exit(1)

    with contextlib.ExitStack() as stack:
        running = []
        for given in inputs:
            file, said = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
            file.write(given)
            file.seek(0)
            process = subprocess.Popen(
                command, stdin=file, stdout=subprocess.DEVNULL, stderr=said, env=variables, cwd=folder,
                preexec_fn=die_with_parent,  # noqa: PLW1509 (there are no threads)
            )  # fmt: skip
            stack.callback(_end, process)
            running.append((process, said))
        ended = []
        for process, said in running:
            code = process.wait()
            said.seek(0)
            ended.append(Ended(code, said.read().decode(errors="replace")))
    return ended


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()
