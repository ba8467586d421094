import ctypes
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from image.stubs.make_stub import main
from image.stubs.shared_object import Stub, to_elf

LIBRARIES = [Path(name).absolute() for name in os.environ.get("LIBRARIES", "").split()]
STUB = Stub("libours.so.1", "no library", 34, [f"ours{number}" for number in range(700)], ["oursText"])


@pytest.fixture
def library(tmp_path: Path) -> Path:
    path = tmp_path / "libours.so"
    path.write_bytes(to_elf(STUB))
    return path


def test_each_function_says_what_it_is_and_fails(library: Path, capfd: pytest.CaptureFixture[str]) -> None:
    loaded = ctypes.CDLL(str(library))
    for name in STUB.functions:
        assert getattr(loaded, name)() == STUB.error
    assert capfd.readouterr().err == f"{STUB.message}\n" * len(STUB.functions)
    loaded.oursText.restype = ctypes.c_char_p
    assert loaded.oursText() == f"{STUB.message}\n".encode()


def test_what_is_not_listed_is_not_there(library: Path) -> None:
    loaded = ctypes.CDLL(str(library))
    for name in ("ours700", "ours", "", "ours1x"):
        with pytest.raises(AttributeError):
            getattr(loaded, name)


def test_the_loader_knows_it_by_its_soname(library: Path) -> None:
    """What has been loaded once serves whoever needs that name; else it would look for a file."""
    script = f"import ctypes; ctypes.CDLL({str(library)!r}); ctypes.CDLL('libours.so.1').ours1"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_no_page_can_be_both_written_and_run(library: Path) -> None:
    content = library.read_bytes()
    (segments,) = struct.unpack_from("<H", content, 56)
    found = [struct.unpack_from("<IIQQQQQQ", content, 64 + 56 * number) for number in range(segments)]
    loaded = [(flags, start, start + size) for kind, flags, start, _, _, size, _, _ in found if kind == 1]
    assert sorted(flags for flags, _, _ in loaded) == [4, 5, 6]
    pages = [range(start // 4096, (end - 1) // 4096 + 1) for _, start, end in loaded]
    assert len({page for each in pages for page in each}) == sum(map(len, pages))


def test_the_same_list_gives_the_same_bytes_whatever_its_order(tmp_path: Path) -> None:
    lists = {"a": "beta\nalpha text\ngamma\n", "b": "# a remark\n\ngamma\nbeta\nalpha text\n"}
    made = []
    for folder, text in lists.items():
        (tmp_path / folder).mkdir()
        symbols, library = tmp_path / folder / "list.txt", tmp_path / folder / "libx.so"
        symbols.write_text(text)
        arguments = [str(symbols), str(library), "--soname", "libx.so.1", "--error", "3"]
        assert CliRunner().invoke(main, arguments).exit_code == 0
        made.append(library.read_bytes())
    assert made[0] == made[1]


@pytest.mark.parametrize("path", LIBRARIES, ids=lambda path: path.name)
def test_the_stubs_of_the_image_load_and_fail(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    loaded = ctypes.CDLL(str(path))
    code = loaded.cuInit(0) if path.name == "libcuda.so" else loaded.nvmlInit_v2()
    assert code == (34 if path.name == "libcuda.so" else 12)
    said = capfd.readouterr().err
    assert said.startswith(f"monobase: error: {path.name} is a stub to link with")
    assert said.count("\n") == 1
