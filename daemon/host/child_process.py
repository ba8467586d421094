"""Runs a program to its end: its output takes bounded memory, and all users may read what it makes."""

import ctypes
import errno
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from daemon.errors import MachineError

_PRCTL = ctypes.CDLL(None).prctl
_PR_SET_PDEATHSIG = 1
_UMASK = 0o022  # whatever this process has: models run as other users
_KEPT_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 16
_NO_PROGRAM = (
    errno.ENOENT,
    errno.EACCES,
    errno.ENOEXEC,
    errno.ENOTDIR,
    errno.ELOOP,
    errno.EISDIR,
    errno.EPERM,
)


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that has ended.

    Attributes:
        code: Its exit code, negative for a signal.
        stdout: What it printed; of more than 2 MiB, the first and the last.
        stderr: What it said, in the same way.
    """

    code: int
    stdout: str
    stderr: str


def run_to_its_end(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: Path,
    descriptors: Sequence[int] = (),
    given: bytes = b"",
    running: Callable[["subprocess.Popen[bytes]", bool], None] = lambda _process, _runs: None,
    stderr: IO[bytes] | None = None,
) -> Ended:
    """Run a program to its end. It ends with this process at the latest.

    Args:
        command: Program and arguments.
        environment: Its environment variables.
        directory: Its working folder.
        descriptors: What it inherits beside the standard ones.
        given: Its standard input.
        running: Told the process when it has started, and again, with False, when it has ended.
        stderr: A file that gets what it says instead.

    Returns:
        Its exit code and what it said.

    Raises:
        MachineError: It cannot be started.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if given else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr or subprocess.PIPE,
            env=environment,
            cwd=directory,
            umask=_UMASK,
            pass_fds=descriptors,
            preexec_fn=die_with_parent,  # noqa: PLW1509 (one system call through a function loaded before)
        )
    except OSError as error:
        if error.errno not in _NO_PROGRAM or str(error.filename) == str(directory):
            raise
        raise MachineError(
            f"{command[0]}: cannot be started: {error.strerror}; it must be a program for this machine that "
            "may be executed"
        ) from error
    running(process, True)
    try:
        outputs = [_Output(process.stdout), _Output(process.stderr)]
        for output in outputs:
            output.start()
        if process.stdin is not None:
            _give(process.stdin, given)
        for output in outputs:
            output.join()
        code = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        running(process, False)
    return Ended(code, outputs[0].text(), outputs[1].text())


def signal_name(code: int) -> str:
    """Name the signal that ended a program, by its negative exit code."""
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def die_with_parent() -> None:
    """Ask the kernel, in a new child, to end it when its parent ends: a killed install leaves no writer."""
    _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL)


class _Output(threading.Thread):
    """Reads a pipe to its end, and keeps the beginning and the end of what comes."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        super().__init__(daemon=True)
        self._pipe = pipe
        self._head = bytearray()
        self._tail = bytearray()
        self._left_out = 0

    def run(self) -> None:
        if self._pipe is None:
            return
        with self._pipe as pipe:
            while chunk := pipe.read1(_CHUNK_BYTES):  # type: ignore[attr-defined]
                self._keep(chunk)

    def text(self) -> str:
        """Return the text that was kept."""
        between = f"\n({self._left_out:,} bytes left out)\n".encode() if self._left_out else b""
        return (bytes(self._head) + between + bytes(self._tail)).decode(errors="replace")

    def _keep(self, chunk: bytes) -> None:
        room = max(0, _KEPT_BYTES - len(self._head))
        self._head += chunk[:room]
        self._tail += chunk[room:]
        too_many = len(self._tail) - _KEPT_BYTES
        if too_many > 0:
            del self._tail[:too_many]
            self._left_out += too_many


def _give(pipe: IO[bytes], given: bytes) -> None:
    try:
        with pipe:
            pipe.write(given)
    except BrokenPipeError:
        pass  # it ended without reading all; its exit code says why
