import ctypes
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from image.architecture import AMD64, ARM64
from image.elf_file import elf_machine
from image.stubs.make_stub import main
from image.stubs.shared_object import Stub, to_elf

LIBRARIES = [Path(name).absolute() for name in os.environ.get("LIBRARIES", "").split()]
STUB = Stub("libours.so.1", "no library", 34, [f"ours{number}" for number in range(700)], ["oursText"])


@pytest.fixture
def library(tmp_path: Path) -> Path:
    path = tmp_path / "libours.so"
    path.write_bytes(to_elf(STUB, AMD64))
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


def instructions(content: bytes, symbol: str) -> list[int]:
    """Return the code of a function for arm64, found by its symbol as a linker finds it."""
    sections = struct.unpack_from("<Q", content, 40)[0]
    headers = [struct.unpack_from("<IIQQQQIIQQ", content, sections + 64 * number) for number in range(8)]
    (symbols,) = [header for header in headers if header[1] == 11]
    strings = headers[symbols[6]]
    for offset in range(symbols[4], symbols[4] + symbols[5], 24):
        name, _, _, _, address, size = struct.unpack_from("<IBBHQQ", content, offset)
        begin = strings[4] + name
        if content[begin : content.index(b"\0", begin)] == symbol.encode():
            return list(struct.unpack_from(f"<{size // 4}I", content, address))
    raise AssertionError(symbol)


def loaded_text(content: bytes, code: list[int], number: int, start: int) -> str:
    """Return the text whose address an instruction `adr` loads."""
    word = code[number]
    assert word & 0x9F000000 == 0x10000000
    distance = (word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3
    distance -= 1 << 21 if distance >= 1 << 20 else 0
    begin = start + 4 * number + distance
    return content[begin : content.index(b"\0", begin)].decode()


def test_functions_for_arm64_write_the_message_and_return_the_error() -> None:
    """As the architecture's manual encodes them; tests/emulation runs such libraries."""
    content = to_elf(STUB, ARM64)
    assert elf_machine(content) == 183
    (start,) = (
        content.index(struct.pack("<I", 0xD503245F)),
    )  # bti c: the first function's first instruction
    failing, telling = instructions(content, "ours1"), instructions(content, "oursText")
    message = f"{STUB.message}\n"
    assert loaded_text(content, failing, 2, start) == message
    assert loaded_text(content, telling, 1, start + 4 * len(failing)) == message
    del failing[2]
    assert failing == [
        0xD503245F,  # bti c
        0x52800040,  # mov w0, #2
        0x52800002 | len(message) << 5,  # mov w2, #…
        0x52800808,  # mov w8, #64 (write)
        0xD4000001,  # svc #0
        0x52800000 | STUB.error << 5,  # mov w0, #…
        0xD65F03C0,  # ret
    ]
    assert (telling[0], telling[2]) == (0xD503245F, 0xD65F03C0)


def test_no_page_of_64_kilobytes_can_be_both_written_and_run_on_arm64() -> None:
    content = to_elf(STUB, ARM64)
    (segments,) = struct.unpack_from("<H", content, 56)
    found = [struct.unpack_from("<IIQQQQQQ", content, 64 + 56 * number) for number in range(segments)]
    loaded = [
        (start, start + size, alignment) for kind, _, start, _, _, size, _, alignment in found if kind == 1
    ]
    assert {alignment for _, _, alignment in loaded} == {0x10000}
    pages = [set(range(start >> 16, (end - 1 >> 16) + 1)) for start, end, _ in loaded]
    assert len(set().union(*pages)) == sum(map(len, pages))


def test_the_same_list_gives_the_same_bytes_whatever_its_order(tmp_path: Path) -> None:
    lists = {"a": "beta\nalpha text\ngamma\n", "b": "# a remark\n\ngamma\nbeta\nalpha text\n"}
    made = []
    for folder, text in lists.items():
        (tmp_path / folder).mkdir()
        symbols, library = tmp_path / folder / "list.txt", tmp_path / folder / "libx.so"
        symbols.write_text(text)
        arguments = [str(symbols), str(library), "--soname", "libx.so.1", "--error", "3"]
        arguments += ["--architecture", "amd64"]
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
