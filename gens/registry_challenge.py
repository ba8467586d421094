"""Reads the challenges of a registry that requires a login (`WWW-Authenticate`, RFC 9110, section 11.6.1).

One answer may have several, in one header field or in more: a registry that takes tokens and passwords, say.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SCHEME = re.compile(rf"[\s,]*({_WORD})(?=\s|,|$)")
# Some registries leave the quotes out, also around a URL.
_PARAMETER = re.compile(rf"[\s,]*({_WORD})\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]*))\s*(?=,|$)")
_TOKEN68 = re.compile(r"\s*[A-Za-z0-9._~+/-]+=*\s*(?=,|$)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge.

    Attributes:
        scheme: Its scheme in lower case, such as `basic` or `bearer`.
        parameters: Its parameters by their names in lower case.
    """

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_challenges(text: str) -> tuple[Challenge, ...]:
    """Read the value of `WWW-Authenticate`; several header fields are joined by commas.

    Args:
        text: The value.

    Returns:
        The challenges in their order, up to the first that is malformed.
    """
    return tuple(_challenges(text))


def _challenges(text: str) -> Iterator[Challenge]:
    position = 0
    while (found := _SCHEME.match(text, position)) is not None:
        position = found.end()
        parameters: dict[str, str] = {}
        while (parameter := _PARAMETER.match(text, position)) is not None:
            name, quoted, bare = parameter.groups()
            value = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            parameters.setdefault(name.lower(), value)
            position = parameter.end()
        if not parameters and (blob := _TOKEN68.match(text, position)) is not None:
            position = blob.end()  # such as the data of Negotiate
        yield Challenge(found[1].lower(), parameters)
