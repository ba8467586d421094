"""The image that the doctor runs in: its machine and its C library."""

import os
import platform
import re
from pathlib import Path

from .finding import Finding
from .offer import Offer
from .version import numbers


def glibc_version() -> str | None:
    """Return the version of this process's glibc; None for another C library."""
    try:
        text = os.confstr("CS_GNU_LIBC_VERSION")
    except (OSError, ValueError):
        return None
    return text.removeprefix("glibc ") if text else None


def check_image(offer: Offer | None, glibc: str | None, machine: str | None = None) -> Finding:
    """Compare the image with the platform of the generation.

    Args:
        offer: What the generation offers, or None.
        glibc: Version of the image's glibc, or None.
        machine: Machine of the image; None for that of this process.

    Returns:
        What was found.
    """
    machine = machine or platform.machine()
    found = f"{machine}, {f'glibc {glibc}' if glibc else 'no glibc'}{_name()}"
    wanted = None if offer is None or offer.platform is None else offer.platform
    if wanted is None:
        return Finding("image", "ok" if glibc else "problem", found)
    advice = ("Build the image on a newer base for the node's machine, such as Monobase's runtime image.",)
    needed_machine, _, tag = wanted.partition("-")
    need = re.fullmatch(r"manylinux_(\d+)_(\d+)", tag)
    needed = f"; {offer.generation if offer else ''} is made for {wanted}"
    if needed_machine != machine or glibc is None:
        return Finding("image", "problem", found + needed, advice)
    if need is not None and numbers(glibc) < (int(need[1]), int(need[2])):
        return Finding("image", "problem", found + needed, advice)
    return Finding("image", "ok", found + needed)


def _name(path: Path = Path("/etc/os-release")) -> str:
    try:
        found = re.search(r'^PRETTY_NAME="?([^"\n]*)', path.read_text(errors="replace"), re.MULTILINE)
    except OSError:
        return ""
    return f", {found[1]}" if found else ""
