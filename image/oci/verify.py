"""Compares blobs with their descriptors, before they leave this machine."""

import hashlib
from pathlib import Path

from image.errors import ImageError
from image.oci.descriptor import Descriptor


def check_blob(blob: Descriptor, path: Path) -> None:
    """Compare a file with its descriptor.

    Args:
        blob: Descriptor of the file.
        path: The file.

    Raises:
        ImageError: Its digest differs, or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            found = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {error.strerror}") from error
    if found != blob.digest:
        raise ImageError(
            f"{path}: is damaged: its digest is {found}, the image names {blob.digest}; "
            f"build the image again, after `bazel clean` if that does not help"
        )
