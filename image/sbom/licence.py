"""Translates the licence of a package to SPDX where SPDX has a name for it."""

import re
from dataclasses import dataclass

from cyclonedx.spdx import fixup_id, is_expression

# Short names of copyright-format 1.0 whose SPDX names differ in more than capitals.
_SHORT_NAMES = {
    "apache-2": "Apache-2.0",
    "artistic": "Artistic-1.0",
    "artistic-2": "Artistic-2.0",
    "cc0": "CC0-1.0",
    "expat": "MIT",
    "openldap-2.8": "OLDAP-2.8",
    "perl": "Artistic-1.0 OR GPL-1.0-or-later",
}
_GNU = re.compile(r"(?P<name>[AL]?GPL|GFDL)(?P<niv>-NIV)?-(?P<version>\d+(?:\.\d+)?)(?P<later>\+)?")
_GNU_SUFFIX = {True: "or-later", False: "only"}
_NIV_SUFFIX = {True: "no-invariants-or-later", False: "no-invariants-only"}
_OPERATORS = (", or ", ", and ", " or ", " and ")


@dataclass(frozen=True, slots=True, order=True)
class Licence:
    """A licence, or an expression of several.

    Attributes:
        text: An SPDX expression (SPDX v3.0.1, annex B), or the package's own text.
        is_spdx: Whether the text is an SPDX expression.
    """

    text: str
    is_spdx: bool


def licence_of(text: str) -> Licence:
    """Return the licence of a wheel or a label: an SPDX expression, or any other text."""
    known = fixup_id(text)
    if known is not None:
        return Licence(known, is_spdx=True)
    return Licence(text, is_spdx=is_expression(text))


def licence_of_debian(synopsis: str) -> Licence:
    """Return the licence of the first line of a License field.

    Debian's copyright-format 1.0, section 7: short names, `and` before `or`, a comma before either to
    make it bind less tightly. A name that SPDX does not have is kept.

    Args:
        synopsis: Such as `GPL-2+ or Artistic, and Expat`.

    Returns:
        The licence.
    """
    synopsis = " ".join(synopsis.split())
    expression = _expression(synopsis)
    if expression is None or not is_expression(expression):
        return Licence(synopsis, is_spdx=False)
    return Licence(expression, is_spdx=True)


def _expression(text: str) -> str | None:
    """Translate, beginning with the loosest operator; return None if SPDX lacks a name in it."""
    both_commas = ", or " in text and ", and " in text
    if both_commas:  # the specification does not define which one binds tighter
        return None
    for operator in _OPERATORS:
        if operator in text:
            parts = [_expression(part) for part in text.split(operator)]
            word = operator.strip(", ").upper()
            known = [part for part in parts if part is not None]
            if len(known) < len(parts):
                return None
            return f" {word} ".join(f"({part})" if " " in part else part for part in known)
    return _short_name(text)


def _short_name(name: str) -> str | None:
    gnu = _GNU.fullmatch(name)
    if gnu is not None:
        version = gnu["version"] if "." in gnu["version"] else f"{gnu['version']}.0"
        suffix = (_NIV_SUFFIX if gnu["niv"] else _GNU_SUFFIX)[gnu["later"] is not None]
        return fixup_id(f"{gnu['name']}-{version}-{suffix}")
    return _SHORT_NAMES.get(name.lower()) or fixup_id(name)
