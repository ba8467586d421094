import errno
import sys
from pathlib import Path

import pytest

from daemon.errors import InterpreterError, ProgramKilledError
from daemon.interpreters.compile_run import run_compile_worker
from daemon.interpreters.running_interpreter import Interpreter, describe


def interpreter(folder: Path, script: str) -> Interpreter:
    program = folder / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Interpreter(program, "3.11.9", "cpython-311", managed=False)


def test_the_same_source_gives_the_same_bytes_whatever_else_is_compiled_with_it(tmp_path: Path) -> None:
    python = describe(Path(sys.executable), managed=False)
    for name in ("alpha", "beta"):
        (tmp_path / f"{name}.py").write_text("NAMES = {'one', 'two', 'three', 'four'} | {'five'}\n")
    items = [
        (str(tmp_path / f"{name}.py"), str(tmp_path / f"{name}.pyc"), "same") for name in ("alpha", "beta")
    ]
    run_compile_worker(python, items[:1])
    alone = (tmp_path / "alpha.pyc").read_bytes()
    run_compile_worker(python, items)
    assert (tmp_path / "alpha.pyc").read_bytes() == alone == (tmp_path / "beta.pyc").read_bytes()


@pytest.mark.parametrize("signal", ["SEGV", "ABRT"])
def test_a_source_that_crashes_the_interpreter_is_its_error(tmp_path: Path, signal: str) -> None:
    with pytest.raises(InterpreterError, match="compiling ended with -"):
        run_compile_worker(interpreter(tmp_path, f"kill -{signal} $$"), [("a", "b", "c")])


def test_a_worker_that_is_killed_points_to_the_memory_of_the_machine(tmp_path: Path) -> None:
    with pytest.raises(ProgramKilledError, match=r"was ended by SIGKILL.*too little memory"):
        run_compile_worker(interpreter(tmp_path, "kill -KILL $$"), [("a", "b", "c")])


@pytest.mark.parametrize("said", ["No space left on device", "Disk quota exceeded"])
def test_a_full_disk_is_told_as_one(tmp_path: Path, said: str) -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        run_compile_worker(interpreter(tmp_path, f"echo 'OSError: {said}' >&2; exit 1"), [("a", "b", "c")])
    assert caught.value.errno == errno.ENOSPC


def test_any_other_failure_is_told_with_the_last_words_of_the_interpreter(tmp_path: Path) -> None:
    with pytest.raises(InterpreterError, match="compiling ended with 1: ModuleNotFoundError: py_compile"):
        run_compile_worker(
            interpreter(tmp_path, "echo 'ModuleNotFoundError: py_compile' >&2; exit 1"), [("a", "b", "c")]
        )
