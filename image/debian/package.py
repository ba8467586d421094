"""A binary package: a .deb file with its control files and its data (deb(5), deb-control(5))."""

import io
import lzma
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from debian.arfile import ArError
from debian.deb822 import Deb822
from debian.debfile import DebError, DebFile

from image.errors import ImageError


@dataclass(frozen=True, slots=True)
class Package:
    """A package that was opened.

    Attributes:
        name: Its name.
        version: Its version.
        architecture: `amd64` or `all`.
        control: Its control file, as it stands there.
        multi_arch: The field of that name; empty when there is none.
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
        """What dpkg calls its files in /var/lib/dpkg/info."""
        return f"{self.name}:{self.architecture}" if self.multi_arch == "same" else self.name

    @property
    def conffiles(self) -> tuple[str, ...]:
        """Paths of its configuration files, from the root."""
        _, content = self.control_files.get("conffiles", (0, b""))
        return tuple(line.split()[-1] for line in content.decode().splitlines() if line.strip())

    @property
    def has_postinst(self) -> bool:
        """Whether it brings a script that dpkg runs after unpacking."""
        return "postinst" in self.control_files

    @contextmanager
    def data(self) -> Iterator[tarfile.TarFile]:
        """Open the archive of its files.

        Raises:
            ImageError: It cannot be read.
        """
        with _errors(self.path), DebFile(str(self.path)) as deb, deb.data.tgz() as archive:
            yield archive

    def read(self, name: str) -> bytes:
        """Read one of its files.

        Raises:
            ImageError: It holds no such file.
        """
        with _errors(self.path), DebFile(str(self.path)) as deb:
            content = deb.data.get_content(name)
        if content is None:
            raise ImageError(f"{self.path}: {name} in it is no file")
        return content


def open_package(path: Path) -> Package:
    """Read the control part of a .deb file.

    Args:
        path: The file.

    Returns:
        The package.

    Raises:
        ImageError: It is none.
    """
    with _errors(path), DebFile(str(path)) as deb, deb.control.tgz() as archive:
        files = {}
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None:
                files[member.name.removeprefix("./")] = (member.mode, content.read())
    control = files.pop("control")[1].decode()
    fields = Deb822(io.StringIO(control))
    return Package(
        fields["Package"], fields["Version"], fields["Architecture"], control, fields.get("Multi-Arch", ""),
        files, path,
    )  # fmt: skip


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (
        OSError,
        ArError,
        DebError,
        lzma.LZMAError,
        tarfile.TarError,
        KeyError,
        UnicodeDecodeError,
    ) as error:
        raise ImageError(f"{path}: is not a Debian package that can be read: {error!r}") from error
