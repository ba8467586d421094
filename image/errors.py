"""The errors of images: making, pushing and loading them; README.md lists the exit codes."""

from typing import ClassVar

from gens.errors import MonobaseError


class ImageError(MonobaseError):
    """An image, or what it is made of, is malformed."""

    exit_code: ClassVar[int] = 3


class RegistryError(MonobaseError):
    """A registry did not answer, or refused what was asked of it."""

    exit_code: ClassVar[int] = 4


class EngineError(MonobaseError):
    """There is no container engine, or it refused an image."""

    exit_code: ClassVar[int] = 5
