"""One run of the compile worker: sources in, bytecode out, the same bytes each time."""

import errno
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from daemon.errors import InterpreterError
from daemon.running_interpreter import Interpreter, plain_variables
from daemon.uv import die_with_parent, last_lines

_WORKER = Path(__file__).with_name("compile_worker.py")


def run_compile_worker(
    interpreter: Interpreter, items: Sequence[tuple[str, str, str]], inherit: Sequence[int] = ()
) -> None:
    """Compile sources; those that do not compile are left out.

    Args:
        interpreter: What compiles.
        items: Path of each source, path of its bytecode, and what stands for the source's path in it.
        inherit: Descriptors that the worker keeps.

    Raises:
        InterpreterError: It ended with an error.
        OSError: The disk is full.
    """
    worker = subprocess.run(
        [interpreter.executable, "-s", "-S", "-B", _WORKER],
        input="\n".join("\t".join(item) for item in items).encode("utf-8", "surrogateescape"),
        capture_output=True, check=False, pass_fds=tuple(inherit), preexec_fn=die_with_parent,
        env=plain_variables(os.environ) | {"PYTHONHASHSEED": "0"},  # the order of a set is in the bytecode
    )  # fmt: skip
    if worker.returncode != 0:
        said = last_lines(worker.stderr.decode(errors="replace"))
        if "No space left" in said or "quota" in said:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(interpreter.executable))
        raise InterpreterError(f"{interpreter.executable}: compiling ended with {worker.returncode}: {said}")
