"""The errors of making and rendering manifests, beside those of `gens.errors` and `image.errors`."""

from typing import ClassVar

from gens.errors import MonobaseError


class ManifestError(MonobaseError):
    """A kustomization or a manifest is missing, malformed, or says what we do not render."""

    exit_code: ClassVar[int] = 3
