"""Small Debian packages, written without dpkg-deb, so that they can be wrong in every way (deb(5))."""

import gzip
import io
import lzma
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

# Each has a time of its own, which no clock here shows.
MTIME_S = 1_700_000_000

COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": lambda content: gzip.compress(content, mtime=0),
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


@dataclass(frozen=True, slots=True)
class Member:
    """A file, folder, link or device in a package.

    Attributes:
        path: Where it is to be, as it stands in the archive: `./usr/bin/x`.
        content: Content of a file.
        kind: Its type, as tarfile names it.
        mode: Its permissions.
        uid: Its owner.
        gid: Its group.
        target: Where a link leads.
    """

    path: str
    content: bytes = b""
    kind: bytes = tarfile.REGTYPE
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    target: str = ""


@dataclass(frozen=True, slots=True)
class Deb:
    """A package to write.

    Attributes:
        name: Its name.
        version: Its version.
        architecture: Its architecture.
        members: What it holds.
        fields: Further fields of its control file, before the description.
        control_files: Files beside the control file, by name; `postinst`, for example.
        compression: Suffix of its two archives.
    """

    name: str
    version: str = "1.0"
    architecture: str = "amd64"
    members: tuple[Member, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    control_files: Mapping[str, str] = field(default_factory=dict)
    compression: str = ".xz"

    @property
    def control(self) -> str:
        """Text of the control file."""
        fields = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": self.architecture,
            "Maintainer": "Nobody <nobody@example.org>",
            **self.fields,
            "Description": "a package of a test\n with a second line",
        }
        return "".join(f"{name}: {value}\n" for name, value in fields.items())

    def write(self, directory: Path) -> Path:
        """Write it as NAME.deb.

        Args:
            directory: Where.

        Returns:
            The file.
        """
        files = {"control": self.control, **self.control_files}
        control = tar(
            *(
                Member(f"./{name}", text.encode(), mode=0o755 if name.endswith("inst") else 0o644)
                for name, text in files.items()
            )
        )
        path = directory / f"{self.name}.deb"
        compress = COMPRESS[self.compression]
        path.write_bytes(
            ar(
                {
                    "debian-binary": b"2.0\n",
                    f"control.tar{self.compression}": compress(control),
                    f"data.tar{self.compression}": compress(tar(*self.members)),
                }
            )
        )
        return path


def folder(path: str, mode: int = 0o755, gid: int = 0) -> Member:
    """Return a folder."""
    return Member(path, kind=tarfile.DIRTYPE, mode=mode, gid=gid)


def link(path: str, target: str) -> Member:
    """Return a symbolic link."""
    return Member(path, kind=tarfile.SYMTYPE, mode=0o777, target=target)


def hard_link(path: str, target: str) -> Member:
    """Return a hard link."""
    return Member(path, kind=tarfile.LNKTYPE, target=target)


def tar(*members: Member) -> bytes:
    """Return a tar archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for member in members:
            info = tarfile.TarInfo(member.path)
            info.type, info.mode, info.linkname = member.kind, member.mode, member.target
            info.uid, info.gid, info.mtime, info.size = member.uid, member.gid, MTIME_S, len(member.content)
            archive.addfile(info, io.BytesIO(member.content))
    return stream.getvalue()


def ar(files: Mapping[str, bytes]) -> bytes:
    """Return an ar archive."""
    content = b"!<arch>\n"
    for name, file in files.items():
        content += f"{name:<16}{MTIME_S:<12}{0:<6}{0:<6}{'100644':<8}{len(file):<10}`\n".encode()
        content += file + b"\n" * (len(file) % 2)
    return content
