"""Writes a shared object to link with, whose functions print that they are stubs.

An ELF file (System V gABI, its supplement for AMD64, and Arm's for AArch64), with the parts that linkers read
(sections, symbols, SONAME), and those that the loader reads if a process loads the file (segments, a hash
table). No compiler is used: the bytes are the same on every machine.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from image.architecture import AMD64, ARM64, Architecture

# The largest page of Linux: sections with different permissions begin on different pages.
_PAGE_BYTES = {AMD64: 0x1000, ARM64: 0x10000}
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_DYNAMIC = struct.Struct("<QQ")
# 64 bits, little-endian, version 1, System V.
_IDENT = b"\x7fELF\x02\x01\x01" + bytes(9)
_ET_DYN, _EV_CURRENT = 3, 1
_PT_LOAD, _PT_DYNAMIC, _PT_GNU_STACK = 1, 2, 0x6474E551
_X, _W, _R = 1, 2, 4
_SHT_PROGBITS, _SHT_STRTAB, _SHT_HASH, _SHT_DYNAMIC, _SHT_DYNSYM = 1, 3, 5, 6, 11
_SHF_WRITE, _SHF_ALLOC, _SHF_EXECINSTR = 1, 2, 4
_DT_NULL, _DT_HASH, _DT_STRTAB, _DT_SYMTAB, _DT_STRSZ, _DT_SYMENT, _DT_SONAME = 0, 4, 5, 6, 10, 11, 14
_GLOBAL_FUNCTION = 0x12
_SEGMENTS = 5


@dataclass(frozen=True, slots=True)
class Stub:
    """A library to link with.

    Attributes:
        soname: Library name that programs linked with it request from the loader.
        message: Line that its functions write to stderr.
        error: Error code that they return.
        functions: Names of functions that return the error code.
        texts: Names of functions that return the message.
    """

    soname: str
    message: str
    error: int
    functions: Sequence[str]
    texts: Sequence[str] = ()


@dataclass(slots=True)
class _Section:
    name: str
    kind: int
    flags: int
    content: bytes
    alignment: int = 8
    link: int = 0
    info: int = 0
    entry_bytes: int = 0
    offset: int = 0


def to_elf(stub: Stub, architecture: Architecture) -> bytes:
    """Return the ELF file of a library.

    Args:
        stub: The library.
        architecture: The architecture of its functions.

    Returns:
        The content of the file.
    """
    page_bytes = _PAGE_BYTES[architecture]
    names = [*stub.functions, *stub.texts]
    strings, places = _string_table(["", stub.soname, *names])
    message = f"{stub.message}\n\0".encode()
    sections = [
        _Section("", 0, 0, b""),
        _Section(".hash", _SHT_HASH, _SHF_ALLOC, _hash_table(names), link=2, entry_bytes=4),
        _Section(".dynsym", _SHT_DYNSYM, _SHF_ALLOC, bytes(_SYMBOL.size * (len(names) + 1)), link=3, info=1),
        _Section(".dynstr", _SHT_STRTAB, _SHF_ALLOC, strings, alignment=1),
        _Section(".rodata", _SHT_PROGBITS, _SHF_ALLOC, message, alignment=1),
        _Section(".text", _SHT_PROGBITS, _SHF_ALLOC | _SHF_EXECINSTR, bytes(64), alignment=page_bytes),
        _Section(
            ".dynamic", _SHT_DYNAMIC, _SHF_ALLOC | _SHF_WRITE, bytes(_DYNAMIC.size * 7), page_bytes, link=3
        ),
        _Section(".shstrtab", _SHT_STRTAB, 0, b"", alignment=1),
    ]
    _, hashes, symbols, texts, constants, code, dynamic, section_names = sections
    symbols.entry_bytes, dynamic.entry_bytes = _SYMBOL.size, _DYNAMIC.size
    section_names.content, section_places = _string_table([section.name for section in sections])
    end = _place(sections, _HEADER.size + _SEGMENTS * _SEGMENT.size)
    # Addresses are file offsets.
    failing, telling = _CODE[architecture](code.offset, constants.offset, len(message) - 1, stub.error)
    code.content = failing + telling
    symbols.content = _SYMBOL.pack(0, 0, 0, 0, 0, 0) + b"".join(
        _SYMBOL.pack(places[name], _GLOBAL_FUNCTION, 0, sections.index(code), address, size)
        for found, address, size in (
            (stub.functions, code.offset, len(failing)),
            (stub.texts, code.offset + len(failing), len(telling)),
        )
        for name in found
    )
    dynamic.content = b"".join(
        _DYNAMIC.pack(tag, value)
        for tag, value in (
            (_DT_SONAME, places[stub.soname]),
            (_DT_HASH, hashes.offset),
            (_DT_STRTAB, texts.offset),
            (_DT_SYMTAB, symbols.offset),
            (_DT_STRSZ, len(strings)),
            (_DT_SYMENT, _SYMBOL.size),
            (_DT_NULL, 0),
        )
    )
    end += -end % 8
    file = bytearray(end)
    header = _HEADER.pack(
        _IDENT, _ET_DYN, architecture.elf_machine, _EV_CURRENT, 0, _HEADER.size, end, 0, _HEADER.size,
        _SEGMENT.size, _SEGMENTS, _SECTION.size, len(sections), sections.index(section_names),
    )  # fmt: skip
    for offset, content in (
        (0, header + _segments(constants, code, dynamic, page_bytes)),
        *((section.offset, section.content) for section in sections[1:]),
    ):
        file[offset : offset + len(content)] = content
    for section in sections:
        address = section.offset if section.flags & _SHF_ALLOC else 0
        file += _SECTION.pack(
            section_places[section.name], section.kind, section.flags, address, section.offset,
            len(section.content), section.link, section.info, section.alignment if section.kind else 0,
            section.entry_bytes,
        )  # fmt: skip
    return bytes(file)


def _place(sections: Sequence[_Section], end: int) -> int:
    """Set the offset of each section in the file, and return the end of the last."""
    for section in sections[1:]:
        section.offset = end + -end % section.alignment
        end = section.offset + len(section.content)
    return end


def _segments(last_constant: _Section, code: _Section, dynamic: _Section, page_bytes: int) -> bytes:
    def segment(kind: int, flags: int, start: int, size: int, alignment: int) -> bytes:
        return _SEGMENT.pack(kind, flags, start, start, start, size, size, alignment)

    constants_end = last_constant.offset + len(last_constant.content)
    return b"".join(
        (
            segment(_PT_LOAD, _R, 0, constants_end, page_bytes),
            segment(_PT_LOAD, _R | _X, code.offset, len(code.content), page_bytes),
            segment(_PT_LOAD, _R | _W, dynamic.offset, len(dynamic.content), page_bytes),
            segment(_PT_DYNAMIC, _R | _W, dynamic.offset, len(dynamic.content), 8),
            segment(_PT_GNU_STACK, _R | _W, 0, 0, 16),
        )
    )


def _code_of_amd64(start: int, message: int, message_bytes: int, error: int) -> tuple[bytes, bytes]:
    """Return the code of the two functions: one returns the error, the other the message."""

    def load_message(opcode: bytes, at: int) -> bytes:
        # lea REGISTER, [rip + …], counted from the end of the instruction.
        return opcode + struct.pack("<i", message - (at + len(opcode) + 4))

    to_stderr = b"\xf3\x0f\x1e\xfa\xbf\x02\x00\x00\x00"  # endbr64; mov edi, 2
    failing = to_stderr + load_message(b"\x48\x8d\x35", start + len(to_stderr))  # rsi
    failing += b"\xba" + struct.pack("<I", message_bytes)  # mov edx, …
    failing += b"\xb8\x01\x00\x00\x00\x0f\x05"  # mov eax, SYS_write; syscall
    failing += b"\xb8" + struct.pack("<I", error) + b"\xc3"  # mov eax, …; ret
    failing += b"\x90" * (-len(failing) % 16)
    telling = b"\xf3\x0f\x1e\xfa" + load_message(b"\x48\x8d\x05", start + len(failing) + 4) + b"\xc3"  # rax
    return failing, telling


def _code_of_arm64(start: int, message: int, message_bytes: int, error: int) -> tuple[bytes, bytes]:
    """Return the code of the two functions for arm64."""

    def move(register: int, value: int) -> int:  # mov w…, …
        return 0x52800000 | value << 5 | register

    def load_message(register: int, at: int) -> int:  # adr x…, …
        distance = message - at
        return 0x10000000 | (distance & 3) << 29 | (distance >> 2 & 0x7FFFF) << 5 | register

    landing, system_call, leave, nothing = (
        0xD503245F,
        0xD4000001,
        0xD65F03C0,
        0xD503201F,
    )  # bti c, svc, ret, nop
    failing = [
        landing,
        move(0, 2),
        load_message(1, start + 8),
        move(2, message_bytes),
        move(8, 64),
        system_call,
    ]
    failing += [move(0, error), leave]
    failing += [nothing] * (-len(failing) % 4)
    telling = [landing, load_message(0, start + 4 * len(failing) + 4), leave]
    return struct.pack(f"<{len(failing)}I", *failing), struct.pack(f"<{len(telling)}I", *telling)


_CODE = {AMD64: _code_of_amd64, ARM64: _code_of_arm64}


def _string_table(names: Sequence[str]) -> tuple[bytes, dict[str, int]]:
    table, places = b"", {}
    for name in names:
        places[name] = len(table)
        table += f"{name}\0".encode()
    return table, places


def _hash_table(names: Sequence[str]) -> bytes:
    """Return the table by which the loader finds a symbol; index 0 means none."""
    buckets = [0] * (len(names) // 2 + 1)
    chains = [0] * (len(names) + 1)
    for number, name in enumerate(names, start=1):
        bucket = _hash(name) % len(buckets)
        chains[number], buckets[bucket] = buckets[bucket], number
    return struct.pack(f"<{2 + len(buckets) + len(chains)}I", len(buckets), len(chains), *buckets, *chains)


def _hash(name: str) -> int:
    value = 0
    for byte in name.encode():
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ high >> 24) & ~high
    return value
