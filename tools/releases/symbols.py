"""Compares the symbols that a companion needs of Torch with those that a Torch release exports.

For companions that name no Torch in their metadata, as they are built on its stable ABI. Reads the dynamic
symbol tables (ELF, `.dynsym`) of the libraries in wheels.
"""

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO
from zipfile import ZipFile, ZipInfo

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

# Torch's C functions, and the C++ namespaces `at`, `c10` and `torch` in mangled names.
OF_TORCH = re.compile(r"(?:aoti_)?torch_|_Z\w*?(?:2at|3c10|5torch)")


def needed_symbols(wheel: ZipFile, pattern: re.Pattern[str] = OF_TORCH) -> frozenset[str]:
    """Return the symbols that the libraries of a wheel leave undefined.

    Args:
        wheel: The wheel of a companion.
        pattern: Pattern of the beginning of their names; Torch's by default.
    """
    found: set[str] = set()
    for member in _libraries(wheel):
        with _opened(wheel, member) as file:
            found |= {name for name, is_defined in _symbols(file) if not is_defined}
    return frozenset(name for name in found if pattern.match(name))


def not_exported(wheel: ZipFile, wanted: Iterable[str]) -> frozenset[str]:
    """Return the symbols that no library of a Torch wheel exports.

    It reads the smallest library first and stops when all are found: the largest has a gigabyte.
    """
    missing = set(wanted)
    for member in _libraries(wheel):
        if not missing:
            break
        with _opened(wheel, member) as file:
            missing -= {name for name, is_defined in _symbols(file) if is_defined}
    return frozenset(missing)


def _libraries(wheel: ZipFile) -> list[ZipInfo]:
    held = [member for member in wheel.infolist() if re.search(r"\.so(\.\d+)*$", member.filename)]
    return sorted(held, key=lambda member: member.file_size)


@contextmanager
def _opened(wheel: ZipFile, member: ZipInfo) -> Iterator[IO[bytes]]:
    """Unpack a library to a seekable file."""
    with tempfile.TemporaryFile() as file:
        with wheel.open(member) as reader:
            shutil.copyfileobj(reader, file, 1 << 20)
        yield file


def _symbols(file: IO[bytes]) -> Iterator[tuple[str, bool]]:
    """Yield the dynamic symbols of a library, and whether it defines them."""
    section = ELFFile(file).get_section_by_name(".dynsym")
    if isinstance(section, SymbolTableSection):
        for symbol in section.iter_symbols():
            yield symbol.name, symbol["st_shndx"] != "SHN_UNDEF"
