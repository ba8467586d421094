"""The errors of images: making, pushing and loading them; oci/README.md lists the exit codes."""

from typing import ClassVar

from gens.errors import MonobaseError


class ImageError(MonobaseError):
    """An image, or an input of its build, is malformed."""

    exit_code: ClassVar[int] = 3


class RegistryError(MonobaseError):
    """A registry did not answer, or refused a request."""

    exit_code: ClassVar[int] = 4


class TransientError(RegistryError):
    """A request failed in a way that a retry may cure: a broken connection, an overloaded server.

    Attributes:
        retry_after_s: Seconds that the registry asks to wait, or None.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UnreachableError(TransientError):
    """A registry could not be reached, or the connection to it broke."""


class AccessError(RegistryError):
    """A registry denies access, or the credentials for it cannot be read."""

    exit_code: ClassVar[int] = 9


class EngineError(MonobaseError):
    """There is no container engine, or it refused an image."""

    exit_code: ClassVar[int] = 10
