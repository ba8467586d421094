"""The file `monobase/.progress`: what the daemon installs now, for models that wait for it.

Lines of words separated by one space, the first of which is `monobase-progress 1`. Each other line has the
names of a generation and of a target, a stage (`queued`, `fetch`, `link`, `compile`, `lay-out`, `seal`), the
bytes that were downloaded, and the bytes to download: of all that is installed together.
Only the holder of the writer lock writes it, and removes it at the end. The next one removes what a killed
one left.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from daemon.host.durability import replace_file
from daemon.host.plain_file import read_plain_file
from daemon.prefix.mending import remove_anything
from daemon.prefix.prefix import Prefix

_NAME = ".progress"
_HEAD = "monobase-progress 1"


@dataclass(frozen=True, slots=True)
class ProgressLine:
    """The progress of one target.

    Attributes:
        generation: Name of its generation.
        name: Its name.
        stage: What is done now.
        done_bytes: Bytes that were downloaded.
        total_bytes: Bytes to download.
    """

    generation: str
    name: str
    stage: str
    done_bytes: int = 0
    total_bytes: int = 0


def write_progress(prefix: Prefix, lines: Iterable[ProgressLine]) -> None:
    """Replace the file by these lines.

    It is not synced: after a power loss, it is written again.

    Raises:
        OSError: It cannot be written.
    """
    path = prefix.generations / _NAME
    if path.is_dir() and not path.is_symlink():  # no file can be renamed over a folder
        remove_anything(path)
    text = "".join(
        f"{line.generation} {line.name} {line.stage} {line.done_bytes} {line.total_bytes}\n" for line in lines
    )
    replace_file(path, f"{_HEAD}\n{text}".encode())


def remove_progress(prefix: Prefix) -> None:
    """Remove the file, whatever has its name."""
    remove_anything(prefix.generations / _NAME)


def read_progress(prefix: Prefix) -> list[ProgressLine]:
    """Return the lines of the file; none where there is no file, or one of another format."""
    with suppress(OSError, ValueError):
        head, *lines = read_plain_file(prefix.generations / _NAME).decode().splitlines()
        if head == _HEAD:
            return [_parse(line) for line in lines]
    return []


def _parse(line: str) -> ProgressLine:
    generation, name, stage, done, total = line.split(" ")
    return ProgressLine(generation, name, stage, int(done), int(total))
