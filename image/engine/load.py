"""Loads an image into the container engine of this machine."""

from collections.abc import Callable, Sequence
from typing import IO

from image.engine.container_engine import Engine
from image.oci.archive import write_archive
from image.oci.layout import Layout
from image.oci.verify import check_blob


def load(
    layout: Layout, engine: Engine, names: Sequence[str], advance: Callable[[int], None]
) -> tuple[str, ...]:
    """Load an image.

    Args:
        layout: The image.
        engine: The engine.
        names: Its names in the engine, at least one.
        advance: Called with the number of bytes that the engine has read.

    Returns:
        The names as the engine knows them.

    Raises:
        ImageError: The image is damaged; nothing was loaded.
        EngineError: The engine refuses.
    """
    # An engine would detect damage as well, but does not name the file.
    for blob in (layout.manifest, *layout.blobs):
        check_blob(blob, layout.path(blob))
    whole, *others = [engine.full_name(name) for name in names]

    def write(stream: IO[bytes]) -> None:
        write_archive(layout, whole, stream, advance)

    loaded = engine.load(write) or whole
    for other in others:
        engine.tag(loaded, other)
    return (loaded, *others)
