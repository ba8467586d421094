import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.index.payload import filler, header_file, program, python_source, shared_object


def test_filling_depends_on_its_seed_and_its_size_alone() -> None:
    assert filler("a", 1000) == filler("a", 1000)
    assert filler("a", 1000) != filler("b", 1000)
    assert filler("a", 1000)[:10] == filler("a", 10)


@pytest.mark.parametrize("size_bytes", [0, 4096, 200_000])
def test_a_shared_object_is_loaded_and_has_the_size(tmp_path: Path, size_bytes: int) -> None:
    path = tmp_path / "libexample.so.12"
    path.write_bytes(shared_object("libexample.so.12", "seed", size_bytes))
    ctypes.CDLL(str(path))
    assert path.stat().st_size == size_bytes or size_bytes == 0


@pytest.mark.skipif(
    shutil.which("ldconfig", path="/sbin:/usr/sbin") is None, reason="there is no ldconfig here"
)
def test_ldconfig_makes_the_link_that_the_name_of_a_shared_object_asks_for(tmp_path: Path) -> None:
    (tmp_path / "libexample.so.12.4.1").write_bytes(shared_object("libexample.so.12", "seed", 4096))
    ldconfig = shutil.which("ldconfig", path="/sbin:/usr/sbin") or ""
    subprocess.run([ldconfig, "-n", str(tmp_path)], check=True)
    assert (tmp_path / "libexample.so.12").readlink() == Path("libexample.so.12.4.1")


def test_a_program_prints_its_line(tmp_path: Path) -> None:
    path = tmp_path / "nvcc"
    path.write_bytes(program("release 13.0", "seed", 100_000))
    path.chmod(0o755)
    assert subprocess.run([path], capture_output=True, check=True).stdout == b"release 13.0\n"
    assert path.stat().st_size == 100_000


def test_a_source_compiles_and_its_functions_run() -> None:
    names: dict[str, object] = {}
    exec(compile(python_source("seed", 3), "module.py", "exec"), names)  # noqa: S102 (our own text)
    functions = [value for name, value in names.items() if name.startswith("step_")]
    assert len(functions) == 3
    assert all(callable(function) and function(2)["total"] >= 0 for function in functions)


def test_sources_and_headers_differ_by_their_seed() -> None:
    assert python_source("a") != python_source("b")
    assert header_file("a") != header_file("b")
