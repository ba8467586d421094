"""Reads the GPU architectures of a Torch build from its library, without importing Torch.

`torch.cuda.get_arch_list()` returns nothing on a machine without a GPU, and an import would run the wheel's
code as the user of the daemon. The list is a constant of `libtorch_python.so`: names such as `sm_90`, with a
blank between two, between two zero bytes. It is there once, and the CPU build has none (seen in Torch 2.2.2,
2.10.0 and 2.15.0 for x86_64, 2.14.0 for aarch64, 2.13.0+cpu).
"""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from daemon.errors import NewerFormatError
from daemon.host.plain_file import read_plain_file
from daemon.prefix.gpu_architectures import keep_architectures, read_architectures
from daemon.prefix.prefix import Prefix
from daemon.uv.cache import find_archive
from gens.errors import MonobaseError
from gens.lock import LockedWheel

LIBRARY = "torch/lib/libtorch_python.so"
_MAX_BYTES = 1_000_000_000  # of Torch 2.15.0: 34,693,833
_NAME = rb"(?:sm|compute)_[0-9]{2,4}[a-z]?"
_CONSTANT = re.compile(rb"%s(?: %s)*\0" % (_NAME, _NAME))
_BEGINNINGS = (b"\0sm_", b"\0compute_")


def record_architectures(prefix: Prefix, wheels: Iterable[LockedWheel], warn: Callable[[str], None]) -> None:
    """Record the GPU architectures of the Torch wheels of which the prefix has no record yet.

    A wheel of which they cannot be read is no failure: activation then does not compare them with the GPU.

    Args:
        prefix: The prefix.
        wheels: Wheels that uv's cache holds, of any package.
        warn: Called with the reason for each wheel without a record.
    """
    for wheel in {wheel.sha256: wheel for wheel in wheels if wheel.name == "torch"}.values():
        try:
            if _is_recorded(prefix, wheel.sha256):
                continue
            archive = find_archive(prefix.uv_cache, wheel)
            found = None if archive is None else library_architectures(archive / LIBRARY)
            if found is not None:
                keep_architectures(prefix, wheel.sha256, found)
                continue
            reason = "is not in uv's cache" if archive is None else f"{LIBRARY} holds several lists"
        except NewerFormatError:
            continue  # it stays as it is
        except OSError as error:
            reason = f"{error.filename or LIBRARY}: {error.strerror}"
        warn(f"{wheel.filename}: its GPU architectures are unknown: {reason}; activation does not check them")


def library_architectures(library: Path) -> tuple[str, ...] | None:
    """Read the GPU architectures that a Torch build has code for.

    Args:
        library: The library of the build.

    Returns:
        The architectures in Torch's order, none for a CPU build; None if the library holds several lists.

    Raises:
        OSError: The library cannot be read.
    """
    found = set(_constants(read_plain_file(library, _MAX_BYTES)))
    if len(found) > 1:
        return None
    return tuple(found.pop().split(" ")) if found else ()


def _constants(content: bytes) -> Iterator[str]:
    for beginning in _BEGINNINGS:  # bytes.find is twenty times as fast as a pattern over all of the library
        position = content.find(beginning)
        while position >= 0:
            constant = _CONSTANT.match(content, position + 1)
            if constant is not None:
                yield constant[0][:-1].decode()
            position = content.find(beginning, position + 1)


def _is_recorded(prefix: Prefix, wheel_sha256: str) -> bool:
    try:
        return read_architectures(prefix, wheel_sha256) is not None
    except NewerFormatError:
        raise
    except MonobaseError:
        return False  # a damaged record is written again
