"""The version as labels of an image (OCI image-spec v1.1, annotations.md)."""

from gens.version import UNKNOWN, Version
from image.oci.config import ANNOTATION_PREFIX


def version_labels(version: Version) -> dict[str, str]:
    """Return the labels `version` and `revision`.

    Args:
        version: Version of the build.

    Returns:
        The labels; without a revision where the build is not stamped.
    """
    labels = {f"{ANNOTATION_PREFIX}.version": version.version}
    if version.revision != UNKNOWN:
        labels[f"{ANNOTATION_PREFIX}.revision"] = version.revision
    return labels
