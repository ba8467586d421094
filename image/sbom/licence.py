"""What a package says of its licence, in SPDX's words where they can say it."""

import re
from dataclasses import dataclass

from cyclonedx.spdx import fixup_id, is_expression

# Short names of copyright-format 1.0 that SPDX spells in another way than by capitals.
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
    """One licence, or a choice of some.

    Attributes:
        text: An SPDX expression (SPDX v3.0.1, annex B), or whatever the package calls it.
        is_spdx: Whether it is one.
    """

    text: str
    is_spdx: bool


def licence_of(text: str) -> Licence:
    """Read what a wheel or a label says: an SPDX expression, or any other text."""
    known = fixup_id(text)
    if known is not None:
        return Licence(known, is_spdx=True)
    return Licence(text, is_spdx=is_expression(text))


def licence_of_debian(synopsis: str) -> Licence:
    """Read the first line of a License field.

    Debian's copyright-format 1.0, section 7: short names, `and` before `or`, a comma before either to
    divide what would bind closer. What SPDX has no name for stays as it is.

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
    """Translate at the operator that binds loosest; None if a name in it is none of SPDX."""
    both_commas = ", or " in text and ", and " in text
    if both_commas:  # the specification does not say which of them binds closer
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
