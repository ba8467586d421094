"""Names of files, as a Linux file system and Python have them: any bytes but NUL and the slash."""

import os

from hypothesis import strategies as st

_LONGEST = 40
_TELLING = ("a", " ", "\t", "\r", ".", "-", "ü", "\u2028", "\x85", "\x1c", "💾", "\\", "'", "=", "#")


def file_names(without: str = "") -> st.SearchStrategy[str]:
    """Generate file names: with blanks, leading dots, line separators of Unicode, bytes that are not UTF-8.

    Args:
        without: Characters that must not be in them.
    """
    forbidden = set(without.encode()) | {0, ord("/")}
    telling = st.text(st.sampled_from([sign for sign in _TELLING if sign not in without]), min_size=1)
    text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
    as_bytes = st.one_of(
        telling.map(str.encode), text.map(str.encode), st.binary(min_size=1, max_size=_LONGEST)
    )
    return (
        as_bytes.map(lambda name: bytes(byte for byte in name[:_LONGEST] if byte not in forbidden))
        .filter(lambda name: name not in {b"", b".", b".."})
        .map(os.fsdecode)
    )


def paths(without: str = "") -> st.SearchStrategy[str]:
    """Generate relative paths without dot segments, as a walk over a folder returns them."""
    return st.lists(file_names(without), min_size=1, max_size=4).map("/".join)


def sha256s() -> st.SearchStrategy[str]:
    """Generate digests of 64 lower-case hex digits."""
    return st.integers(0, 2**256 - 1).map(lambda number: f"{number:064x}")
