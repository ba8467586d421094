"""Runs the import worker, and checks its answer: what it imports is not trusted."""

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from daemon.errors import InterpreterError
from daemon.host.child_process import run_to_its_end
from daemon.uv.failure import last_lines

_WORKER = Path(__file__).with_name("import_worker.py")
_TIMEOUT_S = 120.0
_MOST_FILES = 50_000


@dataclass(frozen=True, slots=True)
class ReadFile:
    """The parts of one file that an import reads.

    Attributes:
        path: Its path below the folder, without links.
        ranges: Offset and length of each part, in bytes, ascending.
    """

    path: str
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Answer:
    files: list[tuple[str, list[tuple[int, int]]]]
    failed: dict[str, str]


def run_import(
    executable: Path,
    folder: Path,
    modules: Sequence[str],
    *,
    timeout_s: float = _TIMEOUT_S,
) -> tuple[list[ReadFile], dict[str, str]]:
    """Import modules in an environment, in a process that can neither write nor reach a network.

    Args:
        executable: The Python of the environment.
        folder: Only files below it are reported.
        modules: The modules, in order.
        timeout_s: How long it may take.

    Returns:
        What is read, in the order in which it is needed first, and the errors of modules that cannot be
        imported.

    Raises:
        InterpreterError: The process cannot be confined, was ended, or its answer is malformed.
        MachineError: It cannot be started.
        OSError: There is no room for a temporary folder.
    """
    root = folder.resolve()
    with tempfile.TemporaryDirectory(prefix="monobase-import-") as temporary:
        ended = run_to_its_end(
            [str(executable), "-I", "-S", "-B", str(_WORKER), f"{root}/", temporary, *modules],
            environment=_variables(temporary),
            directory=Path("/"),
            running=partial(_end_in_time, _Timers(timeout_s)),
        )
    if ended.code != 0:
        said = last_lines(ended.stderr) or f"it had {timeout_s:.0f} s"
        raise InterpreterError(f"{executable}: importing {' '.join(modules)} ended with {ended.code}: {said}")
    try:
        answer = msgspec.json.decode(ended.stdout, type=_Answer)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InterpreterError(f"{executable}: the import worker gave a malformed answer: {error}") from error
    found = (_checked(root, path, ranges) for path, ranges in answer.files[:_MOST_FILES])
    unique = {item.path: item for item in found if item is not None and item.ranges}
    return list(unique.values()), answer.failed


def _variables(temporary: str) -> dict[str, str]:
    """Return its variables: none of the daemon's, which may hold passwords."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": temporary,
        "TMPDIR": temporary,
        # A thread for each processor takes memory, and reads nothing.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }


def _checked(root: Path, path: str, ranges: Sequence[tuple[int, int]]) -> ReadFile | None:
    """Return what may be kept of a worker's answer: the code that it imported may have written it."""
    real = os.path.realpath(path)
    try:
        relative = str(Path(real).relative_to(root))
        size_bytes = Path(real).stat().st_size if Path(real).is_file() else 0
    except (ValueError, OSError):
        return None
    if not relative.isprintable():
        return None
    kept: list[tuple[int, int]] = []
    for offset, length in ranges or [(0, size_bytes)]:
        least = sum(kept[-1]) if kept else 0
        if offset >= least and length > 0 and offset < size_bytes:
            kept.append((offset, min(length, size_bytes - offset)))
    return ReadFile(relative, tuple(kept))


class _Timers:
    """Ends a process, with all that it has started, when its time is over."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.timer: threading.Timer | None = None

    def start(self, process: "subprocess.Popen[bytes]") -> None:
        self.timer = threading.Timer(self.timeout_s, _end, [process])
        self.timer.daemon = True
        self.timer.start()

    def stop(self) -> None:
        if self.timer is not None:
            self.timer.cancel()


def _end_in_time(timers: _Timers, process: "subprocess.Popen[bytes]", runs: bool) -> None:
    if runs:
        timers.start(process)
    else:
        timers.stop()
        _end_group(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    _end_group(process)
    process.kill()


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    # It leads a group of its own unless it ended before it could; then there is none with this number.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
