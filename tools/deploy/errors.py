"""The errors of writing and rendering manifests, in addition to those of `gens.errors` and `image.errors`."""

from typing import ClassVar

from gens.errors import MonobaseError


class ManifestError(MonobaseError):
    """A kustomization or a manifest is missing, malformed, or has a field that Monobase does not render."""

    exit_code: ClassVar[int] = 3
