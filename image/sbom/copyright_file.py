"""Reads a Debian package's licences from /usr/share/doc/NAME/copyright (Debian Policy, section 12.5)."""

import re
from typing import Any

from debian.copyright import Copyright, MachineReadableFormatError, NotMachineReadableError

from image.sbom.licence import Licence, licence_of_debian

_COMMON = re.compile(r"/usr/share/common-licenses/([A-Za-z0-9.+-]*[A-Za-z0-9])")


def copyright_path(name: str) -> str:
    """Return the path of a package's copyright file, without a leading slash."""
    return f"usr/share/doc/{name}/copyright"


def parse_copyright(name: str, content: bytes) -> tuple[Licence, ...]:
    """Read the licences of a package.

    For a machine-readable file (copyright-format 1.0, DEP-5) these are the licences of all its files. For any
    other these are the licence texts that it refers to, and the file itself, which no program can interpret.

    Args:
        name: Name of the package.
        content: Content of its copyright file.

    Returns:
        The licences, sorted, each once.
    """
    text = content.decode(errors="replace")
    found = _synopses(text)
    if found:
        return tuple(sorted({licence_of_debian(synopsis) for synopsis in found}))
    mentioned = {Licence(common, is_spdx=False) for common in _COMMON.findall(text)}
    return (*sorted(mentioned), Licence(f"see /{copyright_path(name)}", is_spdx=False))


def _synopses(text: str) -> set[str]:
    """Return the first lines of all licences; none if the file is not machine-readable."""
    try:
        parsed = Copyright(sequence=text.splitlines(keepends=True), strict=False)
    except (NotMachineReadableError, MachineReadableFormatError, ValueError):
        return set()
    paragraphs: list[Any] = [parsed.header, *parsed.all_files_paragraphs()]
    licences = [paragraph.license for paragraph in paragraphs]
    return {licence.synopsis for licence in licences if licence is not None and licence.synopsis}
