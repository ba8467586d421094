"""A compressed text file of lines: manifests, inventories, lists of bytecode.

gzip of UTF-8 lines, the first of which names the format and its version: `monobase-manifest 1`. Its digest is
that of the text: what a compressor makes of it differs from one zlib to the next.
"""

import gzip
import hashlib
import re
import zlib
from collections.abc import Iterable
from pathlib import Path

from daemon.errors import DamageError, NewerFormatError
from daemon.host.plain_file import read_plain_file

_FIRST_LINE = re.compile(r"monobase-(?P<kind>[a-z]+) (?P<version>[0-9]+)")
_VERSION = 1


def format_lines(kind: str, lines: Iterable[str]) -> bytes:
    """Write a file of lines.

    Args:
        kind: What the lines are, such as `manifest`.
        lines: The lines, without line breaks.

    Returns:
        The content of the file.

    Raises:
        ValueError: A line holds a line break, and would be read as two.
    """
    lines = list(lines)
    broken = next((line for line in lines if "\n" in line), None)
    if broken is not None:
        raise ValueError(f"{broken!r} holds a line break")
    text = "".join(f"{line}\n" for line in (f"monobase-{kind} {_VERSION}", *lines))
    return gzip.compress(text.encode("utf-8", "surrogateescape"), compresslevel=6, mtime=0)


def read_lines(path: Path, kind: str) -> list[str]:
    """Read a file of lines.

    Args:
        path: The file.
        kind: What the lines must be.

    Returns:
        The lines after the first. (The first inventories and lists had no line with a version.)

    Raises:
        FileNotFoundError: There is none.
        DamageError: It is another file, or a cut one.
        NewerFormatError: A newer release has written it.
    """
    lines = _text(path).decode("utf-8", "surrogateescape").removesuffix("\n").split("\n")
    first = _FIRST_LINE.fullmatch(lines[0])
    if first is None:
        return [] if lines == [""] else lines
    if first["kind"] != kind:
        raise DamageError(f"{path}: begins with {lines[0]!r}, and should be a {kind}; {_REMEDY}")
    _check_version(path, first)
    return lines[1:]


def _check_version(path: Path, first: re.Match[str]) -> None:
    kind, version = first["kind"], first["version"]
    if int(version) > _VERSION:
        raise NewerFormatError(path, f"{kind} {version}", f"{kind} {_VERSION}")


def file_and_text_digest(path: Path, kind: str = "") -> tuple[str, str]:
    """Digest a file of lines, and its text; where it is not such a file, the text's digest is empty.

    Args:
        path: The file.
        kind: What the lines should be; a newer format of that is refused. Empty for any.

    Raises:
        NewerFormatError: A newer release has written it.
        OSError: It cannot be read.
    """
    content = read_plain_file(path)
    digest = hashlib.sha256(content).hexdigest()
    try:
        text = gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        return digest, ""
    first = _FIRST_LINE.fullmatch(text.partition(b"\n")[0].decode("utf-8", "surrogateescape"))
    if first is not None and first["kind"] == kind:
        _check_version(path, first)
    return digest, hashlib.sha256(text).hexdigest()


def has_digest(path: Path, sha256: str) -> bool:
    """Return whether a file of lines has the text that a digest was taken of.

    Args:
        path: The file.
        sha256: Digest of its text; of the whole file where an earlier release took it.

    Raises:
        OSError: It cannot be read.
    """
    return sha256 in file_and_text_digest(path)


def text_digest(path: Path) -> str:
    """Digest the text of a file of lines, as 64 hex digits.

    Raises:
        FileNotFoundError: There is none.
        DamageError: It is not a gzip file, or a cut one.
    """
    return hashlib.sha256(_text(path)).hexdigest()


_REMEDY = "`verify --repair` rebuilds it"


def _text(path: Path) -> bytes:
    try:
        content = read_plain_file(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamageError(f"{path}: cannot be read: {error.strerror}; {_REMEDY}") from error
    if not content:  # which gzip takes for no lines, and a power loss leaves
        raise DamageError(f"{path}: is damaged: it is empty; {_REMEDY}")
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DamageError(f"{path}: is damaged: {error}; {_REMEDY}") from error
