"""Abbreviated names of environments: `3.12-torch2.13` for `python3.12-torch2.13.0-cu130`."""

import re

_VERSION = re.compile(r"[0-9][0-9.]*")


def abbreviates(asked: str, name: str) -> bool:
    """Return whether the parts of an abbreviation are short for parts of a name, in any order.

    Parts stand between hyphens. `torch` and `torch2.13` are short for `torch2.13.0`, `3.12` is for
    `python3.12`; `torch2.1` and `tor` are short for neither.

    Args:
        asked: The abbreviation.
        name: The name of an environment.
    """
    parts = name.split("-")
    return all(any(_is_short_for(short, part) for part in parts) for short in asked.split("-"))


def _is_short_for(short: str, part: str) -> bool:
    if _VERSION.fullmatch(short):
        short = f"python{short}"
    rest = part.removeprefix(short)
    begins = part.startswith(short) and short != ""
    return begins and (rest == "" or rest[0] == "." or (rest[0].isdigit() and not short[-1].isdigit()))
