"""Reads the files of an image from its layers, like a scanner (OCI image-spec v1.1, layer.md)."""

import gzip
import hashlib
import posixpath
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from image.errors import ImageError
from image.oci.descriptor import LAYER_GZIP, Descriptor
from image.oci.layout import Layout

_WHITEOUT = ".wh."
_MAX_LINKS = 40


@dataclass(frozen=True, slots=True)
class LayerFiles:
    """The wanted files of one layer.

    Attributes:
        blob: Descriptor of the layer.
        contents: Contents of the wanted files, by path without a leading slash.
        links: Targets of its symbolic links, by path.
    """

    blob: Descriptor
    contents: Mapping[str, bytes]
    links: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """The wanted files of an image.

    Attributes:
        layers: The wanted files of its layers, the lowest first.
    """

    layers: tuple[LayerFiles, ...]

    def read(self, path: str) -> bytes | None:
        """Return the content of a file as a process in the image would see it.

        Args:
            path: Its path, without a leading slash; links are followed.

        Returns:
            The content; None if the file does not exist or was not wanted.
        """
        for _ in range(_MAX_LINKS):
            for layer in reversed(self.layers):
                if path in layer.contents:
                    return layer.contents[path]
            followed = self._follow(path)
            if followed is None:
                return None
            path = followed
        return None

    def _follow(self, path: str) -> str | None:
        """Replace the first link of a path by its target."""
        parts = path.split("/")
        for count in range(1, len(parts) + 1):
            link = "/".join(parts[:count])
            for layer in reversed(self.layers):
                if link in layer.links:
                    target = posixpath.join("/", posixpath.dirname(link), layer.links[link], *parts[count:])
                    return posixpath.normpath(target).lstrip("/")
        return None


def read_files(layout: Layout, wanted: Callable[[str], bool]) -> ImageFiles:
    """Read some files of an image.

    Args:
        layout: The image.
        wanted: Returns whether the content of a path, without a leading slash, is needed.

    Returns:
        The files.

    Raises:
        ImageError: A layer cannot be read, or has a kind that Monobase's images do not use.
    """
    return ImageFiles(tuple(_read_layer(layout, blob, wanted) for blob in layout.layers))


def file_digests(layout: Layout, blob: Descriptor) -> Mapping[str, str]:
    """Return the digests of the regular files of a layer.

    Args:
        layout: The image.
        blob: The layer.

    Returns:
        SHA-256 in hexadecimal digits, by path without a leading slash, sorted.

    Raises:
        ImageError: The layer cannot be read.
    """
    digests: dict[str, str] = {}
    with _members(layout, blob) as members:
        for member, content in members:
            if content is not None:
                digests[member.name] = hashlib.sha256(content()).hexdigest()
            elif member.islnk():
                digests[member.name] = digests[member.linkname]
    return dict(sorted(digests.items()))


def holds_below(layout: Layout, blob: Descriptor, folder: str) -> bool:
    """Return whether the first file or link of a layer is below a folder.

    Args:
        layout: The image.
        blob: The layer.
        folder: The folder, without a leading slash, with one at its end.

    Raises:
        ImageError: The layer cannot be read.
    """
    with _members(layout, blob) as members:
        return next((it.name.startswith(folder) for it, _ in members if not it.isdir()), False)


def _read_layer(layout: Layout, blob: Descriptor, wanted: Callable[[str], bool]) -> LayerFiles:
    contents: dict[str, bytes] = {}
    links: dict[str, str] = {}
    hard_links: list[tuple[str, str]] = []
    with _members(layout, blob) as members:
        for member, content in members:
            if posixpath.basename(member.name).startswith(_WHITEOUT):
                raise ImageError(
                    f"{layout.path(blob)}: {member.name} removes a file; Monobase's layers never do"
                )
            if member.issym():
                links[member.name] = member.linkname
            elif member.islnk() and wanted(member.name):
                hard_links.append((member.name, member.linkname))
            elif content is not None and wanted(member.name):
                contents[member.name] = content()
    for name, target in hard_links:
        if target not in contents:
            raise ImageError(f"{layout.path(blob)}: {name} is a hard link to {target}, which was not read")
        contents[name] = contents[target]
    return LayerFiles(blob, contents, links)


@contextmanager
def _members(
    layout: Layout, blob: Descriptor
) -> Iterator[Iterator[tuple[tarfile.TarInfo, Callable[[], bytes] | None]]]:
    """Open a layer; yield its members, and a function that reads the content of a regular file."""
    path = layout.path(blob)
    if blob.media_type != LAYER_GZIP:
        raise ImageError(f"{path}: is {blob.media_type}; expected {LAYER_GZIP}")
    try:
        with (
            gzip.open(path) as stream,
            tarfile.open(fileobj=stream, mode="r|") as archive,
        ):
            yield ((member, _reader(archive, member)) for member in archive)
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise ImageError(f"{path}: cannot be read as a layer: {error}") from error


def _reader(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], bytes] | None:
    if not member.isreg():
        return None

    def read() -> bytes:
        stream = archive.extractfile(member)
        return b"" if stream is None else stream.read()

    return read
