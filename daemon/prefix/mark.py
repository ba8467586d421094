"""The mark of a sealed generation, `.done`: what it was sealed from, and the digest of each manifest.

JSON: `{"format": 1, "generation": 3, "definition": "sha256:…", "environments": HEX, "manifests": {…: HEX}}`.
`definition` digests the definition (`daemon/prefix/generation.py`), `environments` the file of that name;
each manifest's digest is that of its text (`daemon/prefix/line_file.py`). The first marks had no `format`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from daemon.errors import DamageError, NewerFormatError
from daemon.host.durability import write_file
from daemon.host.plain_file import read_plain_file

_FORMAT = 1
_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The content of a mark.

    Attributes:
        generation: Its ID.
        definition: Digest of its definition, `sha256:` and 64 hex digits.
        environments: Digest of the file that lists what it offers.
        manifests: Digest of each manifest by name of the environment or toolkit.
        format: Version of the format of the mark.
    """

    generation: int
    definition: str
    environments: _Digest
    manifests: dict[str, _Digest]
    format: int = _FORMAT


@dataclass(frozen=True, slots=True)
class _Version:
    format: int = _FORMAT


def read_mark(path: Path) -> Mark | None:
    """Read the mark of a generation.

    Args:
        path: The file.

    Returns:
        The mark; None when there is none, and the generation is not sealed.

    Raises:
        DamageError: It is there and no mark.
        NewerFormatError: A newer release has written it.
    """
    try:
        content = read_plain_file(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DamageError(f"{path}: cannot be read: {error.strerror}; {_REMEDY}") from error
    try:
        version = msgspec.json.decode(content, type=_Version).format
        if version > _FORMAT:
            raise NewerFormatError(path, f"format {version}", f"format {_FORMAT}")
        return msgspec.json.decode(content, type=Mark)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DamageError(f"{path}: is damaged: {error}; {_REMEDY}") from error


def write_mark(path: Path, mark: Mark) -> None:
    """Seal a generation: put its mark in place, complete and durable."""
    write_file(path, msgspec.json.format(msgspec.json.encode(mark), indent=1) + b"\n")


_REMEDY = "`verify --repair` checks the generation and writes the mark again"
