"""Runs the compile worker: the same sources give the same bytecode each time."""

import errno
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from daemon.errors import InterpreterError, ProgramKilledError
from daemon.host.child_process import run_to_its_end, signal_name
from daemon.interpreters.running_interpreter import Interpreter, plain_variables
from daemon.uv.failure import last_lines

# Signals by which a source crashes its interpreter.
_CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE}
_WORKER = Path(__file__).with_name("compile_worker.py")


def run_compile_worker(
    interpreter: Interpreter, items: Sequence[tuple[str, str, str]], inherit: Sequence[int] = ()
) -> None:
    """Compile sources; those that do not compile are left out.

    Args:
        interpreter: The interpreter that compiles.
        items: Path of each source, path of its bytecode, and the label that replaces the source's path in it.
        inherit: Descriptors that the worker keeps.

    Raises:
        InterpreterError: The worker ended with an error, or a source crashed it.
        ProgramKilledError: Another signal ended the worker.
        OSError: The disk is full.
    """
    worker = run_to_its_end(
        [str(interpreter.executable), "-s", "-S", "-B", str(_WORKER)],
        # Bytecode holds sets in the order of their hashes.
        environment=plain_variables(os.environ) | {"PYTHONHASHSEED": "0"},
        directory=Path("/"),
        descriptors=tuple(inherit),
        given="\n".join("\0".join(item) for item in items).encode("utf-8", "surrogateescape"),
    )
    if worker.code < 0 and -worker.code not in _CRASHES:
        raise ProgramKilledError(
            f"{interpreter.executable}: compiling was ended by {signal_name(worker.code)}; when nobody did "
            "that, the machine or the container had too little memory"
        )
    if worker.code != 0:
        said = last_lines(worker.stderr)
        if "No space left" in said or "quota" in said:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(interpreter.executable))
        raise InterpreterError(f"{interpreter.executable}: compiling ended with {worker.code}: {said}")
