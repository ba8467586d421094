"""An import is recorded, and what is imported can do no harm."""

import ctypes
import json
import mmap
import os
import select
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from daemon.errors import InterpreterError
from daemon.interpreters.import_run import ReadFile, run_import

_SITE = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
_LANDLOCK_VERSION = 1


def _has_landlock() -> bool:
    version: int = ctypes.CDLL(None).syscall(444, None, 0, _LANDLOCK_VERSION)
    return version > 0


needs_landlock = pytest.mark.skipif(not _has_landlock(), reason="the kernel has no Landlock")


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    environment = tmp_path / "prefix" / "environment"
    # -B: this interpreter's own library is not to be written to by a test.
    subprocess.run(
        [sys.executable, "-I", "-B", "-m", "venv", "--without-pip", "--symlinks", environment], check=True
    )
    return environment


def write(environment: Path, name: str, source: str) -> Path:
    path = environment / _SITE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source))
    return path


def recorded(
    environment: Path, *modules: str, timeout_s: float = 60
) -> tuple[list[ReadFile], dict[str, str]]:
    return run_import(environment / "bin" / "python", environment.parent, modules, timeout_s=timeout_s)


@needs_landlock
def test_files_are_reported_in_the_order_in_which_an_import_reads_them(environment: Path) -> None:
    write(environment, "torch/__init__.py", "import torch.second, torch.first\n")
    write(environment, "torch/first.py", "open(__file__ + '.data').read()\n")
    write(environment, "torch/first.py.data", "data")
    write(environment, "torch/second.py", "'second'\n")
    write(environment, "torch/never.py", "'never'\n")

    files, failed = recorded(environment, "torch")

    site = f"environment/{_SITE}/torch"
    wanted = [f"{site}/{name}" for name in ("__init__.py", "second.py", "first.py", "first.py.data")]
    assert failed == {}
    assert [file.path for file in files if file.path.startswith(site)] == wanted
    assert [file.ranges for file in files if file.path.endswith(".data")] == [((0, 4),)]


@needs_landlock
def test_of_a_mapped_file_only_what_is_touched_is_reported(environment: Path) -> None:
    data = environment / _SITE / "library"
    data.parent.mkdir(parents=True, exist_ok=True)
    data.write_bytes(os.urandom(16 << 20))
    touched = 8 << 20
    write(
        environment, "torch.py",
        f"""\
        import mmap, os
        mapped = mmap.mmap(os.open({str(data)!r}, os.O_RDONLY), 0, prot=mmap.PROT_READ)
        value = mapped[{touched}]
        """,
    )  # fmt: skip

    files, failed = recorded(environment, "torch")

    (ranges,) = (file.ranges for file in files if file.path.endswith("/library"))
    assert failed == {}
    assert any(offset <= touched < offset + length for offset, length in ranges)
    assert sum(length for _, length in ranges) <= 4 << 20
    assert all(offset % mmap.PAGESIZE == 0 for offset, _ in ranges)


_HARM = """\
import ctypes, os, socket, subprocess, sys
FOLDER = {folder!r}
done = []

def tried(what, work):
    try:
        work()
    except (OSError, subprocess.SubprocessError):
        return
    done.append(what)

tried("write", lambda: open(FOLDER + "/file", "r+"))
tried("append", lambda: open(FOLDER + "/file", "a"))
tried("truncate", lambda: os.truncate(FOLDER + "/file", 0))
tried("make a file", lambda: open(FOLDER + "/new", "w"))
tried("make a folder", lambda: os.mkdir(FOLDER + "/new"))
tried("make a link", lambda: os.symlink("file", FOLDER + "/new"))
tried("link", lambda: os.link(FOLDER + "/file", FOLDER + "/new"))
tried("rename", lambda: os.rename(FOLDER + "/file", FOLDER + "/new"))
tried("remove", lambda: os.unlink(FOLDER + "/file"))
tried("change a mode", lambda: os.chmod(FOLDER + "/file", 0o777))
tried("change a time", lambda: os.utime(FOLDER + "/file", (0, 0)))
tried("change an owner", lambda: os.chown(FOLDER + "/file", os.getuid(), os.getgid()))
tried("signal", lambda: os.kill(os.getppid(), 0))
tried("reach a network", socket.socket)
tried("reach a network by a program", lambda: subprocess.run(
    [sys.executable, "-S", "-c", "import socket; socket.socket()"], check=True, stderr=subprocess.DEVNULL))
assert open(FOLDER + "/file").read() == "kept"
if done:
    raise ImportError(", ".join(done))
"""


@needs_landlock
@pytest.mark.parametrize("name", ["torch.py", "harm.pth"])
def test_what_is_imported_can_change_nothing_and_reach_nobody(
    environment: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").write_text("kept")
    source = _HARM.format(folder=str(tmp_path))
    if name.endswith(".pth"):
        write(environment, "harm.py", source)
        source = "import harm\n"
        write(environment, "torch.py", "import harm\n")
    write(environment, name, source)

    _, failed = recorded(environment, "torch")

    assert failed == {}
    assert (tmp_path / "file").read_text() == "kept"
    assert not (tmp_path / "new").exists()


@needs_landlock
def test_a_temporary_folder_may_be_written_to_and_is_removed(environment: Path) -> None:
    write(
        environment, "torch.py",
        """\
        import pathlib, tempfile
        folder = pathlib.Path(tempfile.mkdtemp())
        (folder / "code.py").write_text("x = 1")
        raise ImportError(str(folder))
        """,
    )  # fmt: skip
    _, failed = recorded(environment, "torch")
    folder = failed["torch"].removeprefix("ImportError: ")
    assert folder.startswith("/")
    assert not Path(folder).exists()


@needs_landlock
def test_modules_that_cannot_be_imported_are_told_with_their_errors(environment: Path) -> None:
    write(environment, "torch.py", "raise SystemExit(3)\n")
    _, failed = recorded(environment, "torch", "nowhere")
    assert failed == {"torch": "SystemExit: 3", "nowhere": "ModuleNotFoundError: No module named 'nowhere'"}


@needs_landlock
def test_an_import_that_does_not_end_is_ended(environment: Path) -> None:
    write(environment, "torch.py", "import time\nwhile True: time.sleep(1)\n")
    with pytest.raises(InterpreterError, match="importing torch ended with -9: it had 1 s"):
        recorded(environment, "torch", timeout_s=1)


@needs_landlock
def test_a_program_that_a_module_leaves_running_is_ended(environment: Path) -> None:
    write(
        environment, "torch.py",
        """\
        import subprocess
        raise ImportError(str(subprocess.Popen(["sleep", "3600"]).pid))
        """,
    )  # fmt: skip
    _, failed = recorded(environment, "torch", timeout_s=600)
    number = int(failed["torch"].removeprefix("ImportError: "))
    status = Path(f"/proc/{number}/status")
    # Ended by a signal, it is a zombie until its new parent has seen it.
    assert not status.exists() or "State:\tZ" in status.read_text() or _is_ending(number)


def _is_ending(number: int) -> bool:
    descriptor = os.pidfd_open(number)
    try:
        return bool(select.select([descriptor], [], [], 60)[0])
    finally:
        os.close(descriptor)


def interpreter(folder: Path, answer: str) -> Path:
    program = folder / "python"
    (folder / "answer").write_text(answer)
    program.write_text(f"#!/bin/sh\ncat '{folder / 'answer'}'\n")
    program.chmod(0o755)
    return program


def test_an_answer_is_not_trusted(tmp_path: Path) -> None:
    root = tmp_path / "prefix"
    root.mkdir()
    (root / "file").write_bytes(b"x" * 100)
    (root / "line\nbreak").write_bytes(b"x")
    (root / "out").symlink_to("/etc/passwd")
    files = [
        ["/etc/passwd", []],
        [f"{root}/../outside", []],
        [f"{root}/out", []],
        [f"{root}/line\nbreak", []],
        [f"{root}/missing", []],
        [f"{root}", []],
        [f"{root}/file", [[-5, 3], [0, 10], [5, 10], [20, 0], [30, 500], [900, 1]]],
    ]
    program = interpreter(tmp_path, json.dumps({"files": files, "failed": {}}))
    found, _ = run_import(program, root, ["torch"])
    assert found == [ReadFile("file", ((0, 10), (30, 70)))]


@pytest.mark.parametrize("answer", ["", "no", "[]", '{"files": 3, "failed": {}}', "[" * 100_000])
def test_a_malformed_answer_is_told(tmp_path: Path, answer: str) -> None:
    with pytest.raises(InterpreterError, match="malformed answer"):
        run_import(interpreter(tmp_path, answer), tmp_path, ["torch"])
