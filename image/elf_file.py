"""Reads what ldconfig and laws of the images need of an ELF file (System V gABI)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MAGIC = b"\x7fELF"
_CLASS_64, _LITTLE_ENDIAN = 2, 1
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_DYNAMIC = struct.Struct("<QQ")
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_STRTAB, _DT_SONAME = 5, 14
_MACHINE = struct.Struct("<H")
_MACHINE_OFFSET = 18


@dataclass(frozen=True, slots=True)
class SharedObject:
    """A library, or a program that the dynamic loader loads.

    Attributes:
        elf_machine: The number of its machine.
        soname: The name by which the loader looks for it; empty if it has none.
    """

    elf_machine: int
    soname: str


def elf_machine(beginning: bytes) -> int | None:
    """Return the machine of an ELF file.

    Args:
        beginning: Its first 20 bytes, or more.

    Returns:
        The number of the machine; None if the file is not an ELF file.
    """
    if not beginning.startswith(_MAGIC) or len(beginning) < _MACHINE_OFFSET + _MACHINE.size:
        return None
    machine = beginning[_MACHINE_OFFSET : _MACHINE_OFFSET + _MACHINE.size]
    return int.from_bytes(machine, "little" if beginning[5] == _LITTLE_ENDIAN else "big")


def read_shared_object(path: Path) -> SharedObject | None:
    """Read a file that may be a library.

    Args:
        path: The file.

    Returns:
        The library; None if it is something else, such as a linker script, or an ELF file without a dynamic
        section or of another kind than 64 bits, little-endian.
    """
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return None
    content = path.read_bytes()
    if len(content) < _HEADER.size or content[4:6] != bytes((_CLASS_64, _LITTLE_ENDIAN)):
        return None
    try:
        return _parse(content)
    except (struct.error, ValueError, UnicodeDecodeError):
        return None  # truncated, or damaged: ldconfig leaves such files out, too


def _parse(content: bytes) -> SharedObject | None:
    _, _, machine, _, _, offset, _, _, _, size, count, _, _, _ = _HEADER.unpack_from(content)
    segments = [_SEGMENT.unpack_from(content, offset + size * number) for number in range(count)]
    loaded = [
        (start, place, length) for kind, _, place, start, _, length, _, _ in segments if kind == _PT_LOAD
    ]
    for kind, _, place, _, _, length, _, _ in segments:
        if kind == _PT_DYNAMIC:
            values = dict(_entries(content, place, length))
            if _DT_SONAME not in values:
                return SharedObject(machine, "")
            strings = _file_offset(values.get(_DT_STRTAB, 0), loaded)
            begin = strings + values[_DT_SONAME]
            return SharedObject(machine, content[begin : content.index(b"\0", begin)].decode())
    return None


def _entries(content: bytes, place: int, length: int) -> Iterator[tuple[int, int]]:
    for offset in range(place, place + length, _DYNAMIC.size):
        tag, value = _DYNAMIC.unpack_from(content, offset)
        if tag == 0:
            return
        yield tag, value


def _file_offset(address: int, loaded: list[tuple[int, int, int]]) -> int:
    """Return where the byte that is loaded at an address is in the file."""
    for start, place, length in loaded:
        if start <= address < start + length:
            return place + address - start
    raise ValueError(f"no segment holds the address {address:#x}")
