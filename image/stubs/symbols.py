"""The names that a driver's library exports: read from headers, and as a list that is checked in."""

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
        functions: Those that return an error code.
        texts: Those that return a string.
    """

    functions: frozenset[str]
    texts: frozenset[str]


def read_headers(texts: Iterable[str]) -> Symbols:
    """Give what headers of CUDA's driver or of NVML declare, under the names that a linker sees.

    Args:
        texts: The headers. Macros give a function the name of its newest version, and another one where
            streams are those of the thread (`_ptds`, `_ptsz`).

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
    """Read a list: a name a line, and ` text` behind that of a function that returns a string.

    Raises:
        ImageError: A line is none.
    """
    functions: set[str] = set()
    strings: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise ImageError(f"{path}:{number}: is no name of a function: {line!r}")
        (strings if found["text"] else functions).add(found["name"])
    return Symbols(frozenset(functions), frozenset(strings))


def format_symbols(symbols: Symbols) -> str:
    """Write a list, sorted."""
    lines = [(name, "") for name in symbols.functions] + [(name, " text") for name in symbols.texts]
    return "".join(f"{name}{kind}\n" for name, kind in sorted(lines))
