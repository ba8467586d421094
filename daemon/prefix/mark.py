"""The mark of a sealed generation, `.done`: what it was sealed from, and the digest of each manifest.

JSON: `{"format": 1, "generation": 3, "definition": "sha256:…", "environments": HEX, "manifests": {…: HEX}}`.
`definition` digests the definition (`daemon/prefix/generation.py`), `environments` the file of that name;
each manifest's digest is that of its text (`daemon/prefix/line_file.py`). The first marks had no `format`.

A generation of which a node holds a part is sealed with a mark of format 2: `manifests` has that part only,
and `"selection": "--pool h100"` is the selection that it was sealed for. Such a mark is *open* while its
`environments` is empty: the list is about to be written, and trees may be added. What the mark has is sealed
all the same. A release that knows only whole generations reads format 1 only, and takes no part for a whole.
"""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from daemon.errors import DamageError, NewerFormatError
from daemon.host.durability import write_file
from daemon.host.plain_file import read_plain_file

WHOLE_FORMAT, PART_FORMAT = 1, 2
_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The content of a mark.

    Attributes:
        generation: Its ID.
        definition: Digest of its definition, `sha256:` and 64 hex digits.
        environments: Digest of the file that lists what it offers; empty when the mark is open.
        manifests: Digest of each manifest by name of the environment or toolkit.
        format: Version of the format of the mark.
        selection: For a part, the option that it was sealed for, such as `--pool h100`.
    """

    generation: int
    definition: str
    environments: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64}|)$")]
    manifests: dict[str, _Digest]
    format: int = WHOLE_FORMAT
    selection: str = ""

    @property
    def is_part(self) -> bool:
        """True if a part of the generation is sealed, not all of it."""
        return self.format == PART_FORMAT

    @property
    def is_open(self) -> bool:
        """True if the list of the generation may change, and trees may be added."""
        return not self.environments

    def covers(self, names: Collection[str] | None) -> bool:
        """Return whether a part of the generation is sealed by it; None stands for all of the generation."""
        return not self.is_part or (names is not None and self.manifests.keys() >= set(names))

    def is_settled(self, selection: str) -> bool:
        """Return whether mark and list are those of a selection, by its option; a whole one fits all."""
        return not self.is_part or (not self.is_open and self.selection == selection)


@dataclass(frozen=True, slots=True)
class _Version:
    format: int = WHOLE_FORMAT


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
        if version > PART_FORMAT:
            raise NewerFormatError(path, f"format {version}", f"format {PART_FORMAT}")
        mark = msgspec.json.decode(content, type=Mark)
        if mark.is_open and not mark.is_part:
            raise msgspec.ValidationError("`environments` is empty")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DamageError(f"{path}: is damaged: {error}; {_REMEDY}") from error
    return mark


def write_mark(path: Path, mark: Mark) -> None:
    """Seal a generation: put its mark in place, complete and durable."""
    fields = asdict(mark)
    if not mark.is_part:
        del fields["selection"]
    write_file(path, msgspec.json.format(msgspec.json.encode(fields), indent=1) + b"\n")


_REMEDY = "`verify --repair` checks the generation and writes the mark again"
