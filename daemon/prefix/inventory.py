"""The list of files of one wheel, with the digests that were computed from its unpacked archive.

A wheel's own RECORD does not do: some are wrong, and what a RECORD leaves out is not in it. An inventory is
made right after the wheel was unpacked, while its pages are in memory, and stands for it ever after: for
sharing, for conflicts between packages, for manifests.

Format: a file of lines (`daemon/prefix/line_file.py`), the first
of which is `monobase-inventory 1`; then `SHA256 SIZE MODE PATH`, sorted by path; `MODE` in octal,
`PATH` relative to the archive.
"""

import base64
import csv
import io
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from daemon.errors import DamageError, WheelContentError
from daemon.host.file_content import file_sha256
from daemon.host.known_contents import KnownContents
from daemon.host.modes import open_new_file
from daemon.host.tree_walk import walk_files
from daemon.prefix.line_file import format_lines, read_lines
from daemon.prefix.prefix import Prefix
from gens.lock import LockedWheel

_KIND = "inventory"
# What an installer writes into `.dist-info` in place of what a wheel may bring there.
WRITTEN_BY_INSTALLERS = ("INSTALLER", "RECORD", "REQUESTED")


@dataclass(frozen=True, slots=True)
class InventoryFile:
    """One file of a wheel.

    Attributes:
        path: Relative to the archive, and to site-packages unless it is in the wheel's `.data` folder.
        sha256: Digest of its content, 64 hex digits.
        size_bytes: Its size.
        mode: Its permission bits.
    """

    path: str
    sha256: str
    size_bytes: int
    mode: int

    @property
    def executable(self) -> bool:
        """True if its owner may execute it."""
        return bool(self.mode & stat.S_IXUSR)


@dataclass(frozen=True, slots=True)
class Inventory:
    """The files of one wheel.

    Attributes:
        wheel_sha256: Digest of the wheel.
        files: What the archive holds, by path.
    """

    wheel_sha256: str
    files: tuple[InventoryFile, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size_bytes for file in self.files)

    @property
    def stem(self) -> str:
        """The stem of its `.dist-info` and `.data` folders, such as `alpha-1.0`; empty without one."""
        return next((_stem_of(file.path) for file in self.files if _is_record(file.path)), "")

    def installed_as_is(self) -> Iterator[InventoryFile]:
        """Yield the files that an installer links to the same path under site-packages.

        An installer writes RECORD and the like itself, and spreads the `.data` folder over the environment.
        """
        stem = self.stem
        data = f"{stem}.data/"
        written = {f"{stem}.dist-info/{name}" for name in WRITTEN_BY_INSTALLERS}
        for file in self.files:
            if not file.path.startswith(data) and file.path not in written:
                yield file


def inventory_path(prefix: Prefix, wheel_sha256: str) -> Path:
    """Return the path of a wheel's inventory."""
    return prefix.wheels / f"{wheel_sha256}.files.gz"


def take_inventory(archive: Path, wheel: LockedWheel, known: KnownContents | None = None) -> Inventory:
    """Read an unpacked wheel.

    Args:
        archive: Its folder.
        wheel: What the lock says of it, for messages.
        known: Where it is remembered what was read.

    Returns:
        What it holds.

    Raises:
        WheelContentError: It holds what no wheel may: a link, a device, a path that a line cannot carry.
    """
    files = []
    base = str(archive)
    for path, status in walk_files(base):
        relative = path[len(base) + 1 :]
        if not stat.S_ISREG(status.st_mode) or "\n" in relative:
            raise WheelContentError(f"{wheel.filename}: {relative!r} is not a regular file with a plain name")
        sha256 = file_sha256(path)
        if known is not None:
            known.record(status, sha256)
        files.append(InventoryFile(relative, sha256, status.st_size, stat.S_IMODE(status.st_mode)))
    files.sort(key=lambda file: file.path)
    return Inventory(wheel.sha256, tuple(files))


def record_differences(archive: Path, inventory: Inventory, wheel: LockedWheel) -> list[str]:
    """Compare a wheel's RECORD with what its archive holds.

    Args:
        archive: The folder of the archive.
        inventory: What the archive holds.
        wheel: What the lock says of it, for messages.

    Returns:
        The paths that are missing, or whose content is not what RECORD says. That a wheel's author wrote a
        wrong RECORD, or that the archive is damaged, cannot be told from this alone.

    Raises:
        WheelContentError: There is no RECORD, it is malformed, or it lists a path outside of the wheel.
    """
    records = [file.path for file in inventory.files if _is_record(file.path)]
    if len(records) != 1:
        raise WheelContentError(f"{wheel.filename}: holds {len(records)} RECORD files instead of one")
    held = {file.path: file for file in inventory.files}
    differences = []
    try:
        text = (archive / records[0]).read_text(encoding="utf-8")
        rows = list(csv.reader(io.StringIO(text)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise WheelContentError(f"{wheel.filename}: {records[0]} is malformed: {error}") from error
    for row in rows:
        if not row or not row[0]:
            continue
        path = PurePosixPath(row[0])
        if path.is_absolute() or ".." in path.parts or "\\" in row[0]:
            raise WheelContentError(
                f"{wheel.filename}: lists {row[0]!r}, which leaves the folder that it is installed to; "
                "such a wheel is not installed"
            )
        file = held.get(str(path))
        algorithm, _, digest = (row[1] if len(row) > 1 else "").partition("=")
        if file is None or (algorithm == "sha256" and digest.rstrip("=") != _urlsafe(file.sha256)):
            differences.append(str(path))
    return differences


def write_inventory(inventory: Inventory, path: Path) -> None:
    """Write an inventory to a file that does not exist yet.

    Raises:
        ValueError: A path holds a line break.
    """
    lines = (f"{file.sha256} {file.size_bytes} {file.mode:o} {file.path}" for file in inventory.files)
    with open_new_file(path) as file:
        file.write(format_lines(_KIND, lines))


def read_inventory(prefix: Prefix, wheel_sha256: str) -> Inventory | None:
    """Read a wheel's inventory.

    Returns:
        The inventory, or None when there is none.

    Raises:
        DamageError: The file is malformed.
        NewerFormatError: A newer release has written it.
    """
    path = inventory_path(prefix, wheel_sha256)
    try:
        lines = read_lines(path, _KIND)
    except FileNotFoundError:
        return None
    try:
        files = []
        for line in lines:
            sha256, size, mode, name = line.split(" ", 3)
            files.append(InventoryFile(name, sha256, int(size), int(mode, 8)))
    except ValueError as error:
        raise DamageError(f"{path}: is damaged: {error}; `verify --repair` rebuilds it") from error
    return Inventory(wheel_sha256, tuple(files))


def keep_inventory(prefix: Prefix, inventory: Inventory, staged: Path) -> None:
    """Publish an inventory, unless one of the same content exists: manifests hold its digest.

    Args:
        prefix: The prefix.
        inventory: The inventory.
        staged: Its file, in the staging folder, on the disk.

    Raises:
        NewerFormatError: A newer release has written one.
    """
    try:
        held = read_inventory(prefix, inventory.wheel_sha256)
    except DamageError:
        held = None
    if held == inventory:
        staged.unlink()
    else:
        staged.rename(inventory_path(prefix, inventory.wheel_sha256))


def check_against_held(prefix: Prefix, inventory: Inventory, wheel: LockedWheel) -> None:
    """Compare what a wheel holds with what it held before: generations were sealed from that.

    Args:
        prefix: The prefix.
        inventory: What it holds now.
        wheel: What the lock says of it, for messages.

    Raises:
        WheelContentError: It is something else.
        NewerFormatError: A newer release has written the inventory of then.
    """
    try:
        held = read_inventory(prefix, inventory.wheel_sha256)
    except DamageError:
        return
    if held is None or held == inventory:
        return
    before, now = set(held.files), set(inventory.files)
    path = min(file.path for file in before ^ now)
    raise WheelContentError(
        f"{wheel.filename}: {path} was unpacked otherwise than when {inventory_path(prefix, wheel.sha256)} "
        "was written; the disk or the memory of this node may be failing: run `verify`, and install again"
    )


def _is_record(path: str) -> bool:
    directory, _, name = path.rpartition("/")
    return name == "RECORD" and directory.endswith(".dist-info") and "/" not in directory


def _stem_of(record: str) -> str:
    return record.removesuffix(".dist-info/RECORD")


def _urlsafe(sha256: str) -> str:
    return base64.urlsafe_b64encode(bytes.fromhex(sha256)).decode().rstrip("=")
