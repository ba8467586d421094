import importlib.util
import io
import marshal
import os
import subprocess
import sys
from pathlib import Path
from types import CodeType

import pytest

from daemon.interpreters import compile_worker
from daemon.interpreters.compile_worker import compile_source, main

_HEADER_BYTES = 16


def give(monkeypatch: pytest.MonkeyPatch, *items: tuple[object, object, str]) -> None:
    text = "\n".join("\0".join(map(str, item)) for item in items)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def code_of(bytecode: Path) -> CodeType:
    code = marshal.loads(bytecode.read_bytes()[_HEADER_BYTES:])  # noqa: S302 (written here)
    assert isinstance(code, CodeType)
    return code


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "alpha.py"
    file.write_text("x = 1\n")
    return file


def test_bytecode_names_the_label_in_place_of_the_source_and_is_never_checked(
    source: Path, tmp_path: Path
) -> None:
    compile_source(str(source), str(tmp_path / "alpha.pyc"), "<alpha.py>")
    assert code_of(tmp_path / "alpha.pyc").co_filename == "<alpha.py>"
    header = (tmp_path / "alpha.pyc").read_bytes()[:8]
    assert header == importlib.util.MAGIC_NUMBER + b"\x01\0\0\0"  # PEP 552: by hash, unchecked


def test_every_source_of_the_list_is_compiled_but_those_that_do_not_compile(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "template.py").write_text("{{ name }} = (\n")
    deep = tmp_path / "deep.py"
    deep.write_text("x = " + "(" * 5_000 + ")" * 5_000 + "\n")
    names = ("template.py", "deep.py", "gone.py", source.name)
    give(monkeypatch, *((tmp_path / name, tmp_path / f"{name}c", name) for name in names))
    main()
    assert [file.name for file in tmp_path.glob("*.pyc")] == ["alpha.pyc"]
    assert capfd.readouterr() == ("", "")


def test_a_worker_gives_way_to_downloads(tmp_path: Path) -> None:
    source, compiled = tmp_path / "alpha.py", tmp_path / "alpha.pyc"
    os.mkfifo(source)
    with subprocess.Popen([sys.executable, compile_worker.__file__], stdin=subprocess.PIPE) as worker:
        assert worker.stdin is not None
        worker.stdin.write(f"{source}\0{compiled}\0alpha.py".encode())
        worker.stdin.close()
        with source.open("w") as text:  # waits until the worker has opened it
            own, niceness = (os.getpriority(os.PRIO_PROCESS, pid) for pid in (0, worker.pid))
            text.write("x = 1\n")
    assert niceness == min(own + 5, 19)
    assert worker.returncode == 0


def test_an_empty_list_is_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch)
    main()


def test_bytecode_that_cannot_be_written_ends_the_worker(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        compile_source(str(source), str(tmp_path / "file" / "alpha.pyc"), "alpha.py")


@pytest.mark.parametrize("error", [RecursionError, MemoryError])
def test_a_source_that_asks_too_much_of_the_compiler_is_left_out(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("py_compile.compile", fail)
    compile_source(str(source), str(tmp_path / "alpha.pyc"), "alpha.py")
    assert not (tmp_path / "alpha.pyc").exists()


def test_before_python_3_11_each_source_is_compiled_in_a_process_of_its_own(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 15))
    give(monkeypatch, (source, tmp_path / "alpha.pyc", "alpha.py"))
    main()
    assert code_of(tmp_path / "alpha.pyc").co_filename == "alpha.py"


def test_before_python_3_11_a_process_that_fails_ends_the_worker(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 15))
    monkeypatch.setattr("os.fork", lambda: 4711)
    monkeypatch.setattr("os.waitpid", lambda child, _: (child, 256))
    give(monkeypatch, (source, tmp_path / "alpha.pyc", "alpha.py"))
    with pytest.raises(SystemExit, match=r"compiling '.*alpha\.py.*' ended with 256"):
        main()
