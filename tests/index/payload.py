"""Contents for synthetic files: libraries that a loader takes, programs that run, sources that compile.

All of them are functions of their arguments alone: equal arguments give equal files in different wheels, as
real wheels hold identical libraries.
"""

import functools
import hashlib
import struct

_EM_X86_64 = 62
_DT_NULL, _DT_HASH, _DT_STRTAB, _DT_SYMTAB, _DT_STRSZ, _DT_SYMENT, _DT_SONAME = 0, 4, 5, 6, 10, 11, 14
_PT_LOAD, _PT_DYNAMIC, _PT_GNU_STACK = 1, 2, 0x6474E551
_READ_WRITE = 6
_EHDR_BYTES, _PHDR_BYTES, _SYM_BYTES, _PAGE_BYTES = 64, 56, 24, 4096


def filler(seed: str, size_bytes: int) -> bytes:
    """Return bytes that do not compress, the same ones for the same seed."""
    return hashlib.shake_256(seed.encode()).digest(size_bytes)


def shared_object(soname: str, seed: str, size_bytes: int) -> bytes:
    """Return an ELF shared object that ``ldconfig`` lists and ``dlopen`` loads; it has no code.

    Implements as much of the System V ABI (x86-64) as the loader needs: a segment with a dynamic section, an
    empty symbol table and a name. What fills the size stands behind the segment and is never mapped.

    Args:
        soname: Its ``DT_SONAME``.
        seed: What the filling is made from.
        size_bytes: Size of the file; smaller ones than its headers take are made that large.
    """
    strings = b"\0" + soname.encode() + b"\0"
    strings_at = _EHDR_BYTES + 3 * _PHDR_BYTES
    symbols_at = _aligned(strings_at + len(strings))
    hash_at = symbols_at + _SYM_BYTES
    hash_table = struct.pack("<4I", 1, 1, 0, 0)  # one bucket, one symbol: the null one
    dynamic_at = _aligned(hash_at + len(hash_table))
    dynamic = b"".join(
        struct.pack("<qQ", tag, value)
        for tag, value in (
            (_DT_SONAME, 1),
            (_DT_HASH, hash_at),
            (_DT_STRTAB, strings_at),
            (_DT_SYMTAB, symbols_at),
            (_DT_STRSZ, len(strings)),
            (_DT_SYMENT, _SYM_BYTES),
            (_DT_NULL, 0),
        )
    )
    end = dynamic_at + len(dynamic)
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 3, _EM_X86_64, 1, 0, _EHDR_BYTES, 0, 0, _EHDR_BYTES, _PHDR_BYTES, 3, 64, 0, 0
    )
    segments = (
        _program_header(_PT_LOAD, 0, end, _PAGE_BYTES)
        + _program_header(_PT_DYNAMIC, dynamic_at, len(dynamic), 8)
        + _program_header(_PT_GNU_STACK, 0, 0, 16)
    )
    image = (header + segments + strings).ljust(symbols_at, b"\0")
    image = (image + bytes(_SYM_BYTES) + hash_table).ljust(dynamic_at, b"\0") + dynamic
    return image + filler(seed, max(0, size_bytes - len(image)))


def program(output: str, seed: str, size_bytes: int) -> bytes:
    """Return a program that prints a line; what fills the size stands behind its end."""
    script = f"#!/bin/sh\necho '{output}'\nexit 0\n".encode()
    return script + filler(seed, max(0, size_bytes - len(script)))


@functools.lru_cache(maxsize=8192)
def python_source(seed: str, functions: int = 20) -> bytes:
    """Return a Python module that compiles to bytecode of about the size of its text."""
    digest = hashlib.sha256(seed.encode()).hexdigest()
    lines = [f'"""Synthetic module {digest}."""', ""]
    for number in range(functions):
        word = digest[number % 48 : number % 48 + 12]
        lines += [
            "",
            f"def step_{number}_{word}(value, scale={number}):",
            f'    """Return a number that depends on {word}."""',
            f"    total = [item * scale + {number} for item in range(value)]",
            f'    return {{"name": "{word}", "total": sum(total), "scale": scale}}',
            "",
        ]
    return ("\n".join(lines) + "\n").encode()


@functools.lru_cache(maxsize=8192)
def header_file(seed: str, declarations: int = 40) -> bytes:
    """Return a C header."""
    digest = hashlib.sha256(seed.encode()).hexdigest()
    lines = ["#pragma once", f"/* Synthetic header {digest}. */"]
    lines += [f"#define SYNTHETIC_{digest[:16]}_{number} {number}" for number in range(declarations)]
    return ("\n".join(lines) + "\n").encode()


def _program_header(kind: int, offset: int, size_bytes: int, alignment: int) -> bytes:
    return struct.pack(
        "<IIQQQQQQ", kind, _READ_WRITE, offset, offset, offset, size_bytes, size_bytes, alignment
    )


def _aligned(offset: int) -> int:
    return (offset + 7) // 8 * 8
