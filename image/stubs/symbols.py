"""Reads the names that a driver's library exports, from headers or from a checked-in list."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from image.errors import ImageError

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
# `CUresult CUDAAPI cuInit(`, `nvmlReturn_t DECLDIR nvmlInit_v2(`, `const DECLDIR char* nvmlErrorString(`
_FUNCTION = re.compile(
    r"\b(?:CUDAAPI|DECLDIR)\s+(?P<text>char\s*\*)?\s*(?P<name>(?:cu[A-Z]|nvml[A-Z])\w*)\s*\("
)
# `#define cuMemAlloc cuMemAlloc_v2`, `#define cuMemcpyHtoD __CUDA_API_PTDS(cuMemcpyHtoD_v2)`; no type
_ALIAS = re.compile(
    r"^[ \t]*#[ \t]*define[ \t]+(?:cu[A-Z]|nvml[A-Z])\w*[ \t]+"
    r"(?:__CUDA_API_(?P<kind>PTDS|PTSZ)\()?(?P<name>(?:cu[A-Z]|nvml[A-Z])\w*(?<!_t))\)?[ \t]*$",
    re.MULTILINE,
)
_LINE = re.compile(r"(?P<name>[A-Za-z_]\w*)(?P<text> text)?")


@dataclass(frozen=True, slots=True)
class Symbols:
    """The names of functions.

    Attributes:
        functions: Functions that return an error code.
        texts: Functions that return a string.
    """

    functions: frozenset[str]
    texts: frozenset[str]


def read_headers(texts: Iterable[str]) -> Symbols:
    """Return the functions that headers of CUDA's driver or NVML declare, by the names that a linker sees.

    Args:
        texts: The headers. Their macros rename a function to its newest version, and to another name for
            streams per thread (`_ptds`, `_ptsz`).

    Returns:
        The names.
    """
    functions: set[str] = set()
    strings: set[str] = set()
    for text in texts:
        code = _COMMENT.sub(" ", text)
        for found in _FUNCTION.finditer(code):
            (strings if found["text"] else functions).add(found["name"])
        for found in _ALIAS.finditer(code):
            functions.add(found["name"])
            if found["kind"]:
                functions.add(f"{found['name']}_{found['kind'].lower()}")
    return Symbols(frozenset(functions - strings), frozenset(strings))


def parse_symbols(text: str, path: Path) -> Symbols:
    """Read a list: one name per line, followed by ` text` if the function returns a string.

    Raises:
        ImageError: A line is malformed.
    """
    functions: set[str] = set()
    strings: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise ImageError(f"{path}:{number}: is not a function's name: {line!r}")
        (strings if found["text"] else functions).add(found["name"])
    return Symbols(frozenset(functions), frozenset(strings))


def format_symbols(symbols: Symbols) -> str:
    """Return a sorted list as text."""
    lines = [(name, "") for name in symbols.functions] + [(name, " text") for name in symbols.texts]
    return "".join(f"{name}{kind}\n" for name, kind in sorted(lines))
