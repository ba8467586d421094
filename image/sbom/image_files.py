"""The files of an image, read from its layers as a scanner reads them (OCI image-spec v1.1, layer.md)."""

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
    """What was taken from one layer.

    Attributes:
        blob: Descriptor of the layer.
        contents: Contents of the wanted files, by their paths without a slash before them.
        links: Where its symbolic links lead, by their paths.
    """

    blob: Descriptor
    contents: Mapping[str, bytes]
    links: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """What was taken from an image.

    Attributes:
        layers: What was taken from its layers, the lowest first.
    """

    layers: tuple[LayerFiles, ...]

    def read(self, path: str) -> bytes | None:
        """Give the content of a file as a process in the image would see it.

        Args:
            path: Its path, without a slash before it; links are followed.

        Returns:
            The content; None if there is no such file, or none that was wanted.
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
        """Replace the first link of a path by what it names."""
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
        wanted: Says of a path, without a slash before it, whether its content is needed.

    Returns:
        The files.

    Raises:
        ImageError: A layer cannot be read, or is of a kind that images of ours have not.
    """
    return ImageFiles(tuple(_read_layer(layout, blob, wanted) for blob in layout.layers))


def file_digests(layout: Layout, blob: Descriptor) -> Mapping[str, str]:
    """Digest the regular files of a layer.

    Args:
        layout: The image.
        blob: The layer.

    Returns:
        SHA-256 in hexadecimal digits, by path without a slash before it, sorted.

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


def _read_layer(layout: Layout, blob: Descriptor, wanted: Callable[[str], bool]) -> LayerFiles:
    contents: dict[str, bytes] = {}
    links: dict[str, str] = {}
    hard_links: list[tuple[str, str]] = []
    with _members(layout, blob) as members:
        for member, content in members:
            if posixpath.basename(member.name).startswith(_WHITEOUT):
                raise ImageError(
                    f"{layout.path(blob)}: {member.name} removes a file, which no layer of ours does"
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
    """Open a layer: its members, those that are regular files with a function that reads them."""
    path = layout.path(blob)
    if blob.media_type != LAYER_GZIP:
        raise ImageError(f"{path}: is {blob.media_type}; layers of ours are {LAYER_GZIP}")
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
