"""A binary package: a .deb file with its control files and its data (deb(5), deb-control(5))."""

import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import zstandard
from debian.arfile import ArError
from debian.deb822 import Deb822
from debian.debfile import DebError, DebFile

from image.errors import ImageError


@dataclass(frozen=True, slots=True)
class Package:
    """An opened package.

    Attributes:
        name: Its name.
        version: Its version.
        architecture: `amd64` or `all`.
        control: Text of its control file.
        multi_arch: The field `Multi-Arch`; empty if it is missing.
        control_files: The files beside it (`postinst`, `md5sums`…), by name, with mode and content.
        path: The .deb file.
    """

    name: str
    version: str
    architecture: str
    control: str
    multi_arch: str
    control_files: dict[str, tuple[int, bytes]]
    path: Path

    @property
    def info_name(self) -> str:
        """Name of its files in /var/lib/dpkg/info."""
        return f"{self.name}:{self.architecture}" if self.multi_arch == "same" else self.name

    @property
    def conffiles(self) -> tuple[str, ...]:
        """Paths of its configuration files, from the root."""
        _, content = self.control_files.get("conffiles", (0, b""))
        return tuple(line.split()[-1] for line in content.decode().splitlines() if line.strip())

    @property
    def scripts(self) -> tuple[str, ...]:
        """Names of the scripts that dpkg runs when it installs the package."""
        return tuple(name for name in ("preinst", "postinst") if name in self.control_files)

    def data(self) -> bytes:
        """Return the tar archive of its files, decompressed.

        Raises:
            ImageError: It cannot be read.
        """
        with _errors(self.path), DebFile(str(self.path)) as deb:
            return _part(deb, "data.tar")

    def read(self, name: str) -> bytes:
        """Read one of its files.

        Raises:
            ImageError: It holds no such file.
        """
        content = None
        with _errors(self.path), open_archive(self.data()) as archive:
            for member in archive:
                if member.isfile() and member.name.removeprefix("./") == name:
                    source = archive.extractfile(member)
                    content = source.read() if source is not None else None
        if content is None:
            raise ImageError(f"{self.path}: {name} in it is not a regular file")
        return content


def open_package(path: Path) -> Package:
    """Read the control part of a .deb file.

    Args:
        path: The file.

    Returns:
        The package.

    Raises:
        ImageError: The file is not a package that can be read.
    """
    with _errors(path), DebFile(str(path)) as deb, open_archive(_part(deb, "control.tar")) as archive:
        files = {}
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None:
                files[member.name.removeprefix("./")] = (member.mode, content.read())
        control = files.pop("control")[1].decode()
        fields = Deb822(io.StringIO(control))
        return Package(
            fields["Package"], fields["Version"], fields["Architecture"], control,
            fields.get("Multi-Arch", ""), files, path,
        )  # fmt: skip


def open_archive(content: bytes) -> tarfile.TarFile:
    """Open a tar archive; its names are UTF-8, whatever the builder's locale."""
    return tarfile.open(fileobj=io.BytesIO(content), mode="r:", encoding="utf-8", errors="surrogateescape")


def _part(deb: DebFile, name: str) -> bytes:
    """Read and decompress one of the two archives in a package (deb(5))."""
    for suffix, decompress in _DECOMPRESS.items():
        if f"{name}{suffix}" in deb.getnames():
            return decompress(deb.getmember(f"{name}{suffix}").read())
    raise DebError(f"no {name} in it, or compressed by a way that deb(5) does not know")


def _unzstd(content: bytes) -> bytes:
    # Not by python-debian, which would run the builder's program `unzstd`.
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    found = decompressor.decompress(content)
    if not decompressor.eof:
        raise EOFError("the compressed data ends in the middle")
    return found


_DECOMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    ".xz": lzma.decompress,
    ".zst": _unzstd,
    ".gz": gzip.decompress,
    "": bytes,
}


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (
        OSError,
        EOFError,
        ArError,
        DebError,
        lzma.LZMAError,
        zlib.error,
        zstandard.ZstdError,
        tarfile.TarError,
        KeyError,
        ValueError,
    ) as error:
        raise ImageError(f"{path}: is not a Debian package that can be read: {error!r}") from error
