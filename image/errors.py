"""The errors of images: making, pushing and loading them; oci/README.md lists the exit codes."""

from typing import ClassVar

from gens.errors import MonobaseError


class ImageError(MonobaseError):
    """An image, or what it is made of, is malformed."""

    exit_code: ClassVar[int] = 3


class RegistryError(MonobaseError):
    """A registry did not answer, or refused what was asked of it."""

    exit_code: ClassVar[int] = 4


class TransientError(RegistryError):
    """What may pass by itself: a broken connection, a server that is overloaded or asks to come later.

    Attributes:
        retry_after_s: How long the registry asks to wait; None when it does not say.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UnreachableError(TransientError):
    """A registry was not reached, or the connection to it broke."""


class AccessError(RegistryError):
    """A registry denies access, or the credentials for it cannot be read."""

    exit_code: ClassVar[int] = 9


class EngineError(MonobaseError):
    """There is no container engine, or it refused an image."""

    exit_code: ClassVar[int] = 10
