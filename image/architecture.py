"""The architectures of the images, by the names that Debian and OCI share."""

from collections.abc import Mapping
from dataclasses import dataclass

from image.errors import ImageError


@dataclass(frozen=True, slots=True)
class Architecture:
    """An architecture.

    Attributes:
        name: Its name for Debian, and for OCI (GOARCH).
        triplet: The folder of its libraries below /usr/lib (Debian's multiarch).
        loader: Path of its dynamic loader in an image, without a leading slash.
        elf_machine: The number of its machine in ELF files (`e_machine`).
        cache_flags: Flags of its libraries in ld.so.cache.
    """

    name: str
    triplet: str
    loader: str
    elf_machine: int
    cache_flags: int


AMD64 = Architecture("amd64", "x86_64-linux-gnu", "usr/lib64/ld-linux-x86-64.so.2", 62, 0x0303)
ARM64 = Architecture("arm64", "aarch64-linux-gnu", "usr/lib/ld-linux-aarch64.so.1", 183, 0x0A03)
ARCHITECTURES: Mapping[str, Architecture] = {found.name: found for found in (AMD64, ARM64)}


def find_architecture(name: str) -> Architecture:
    """Return an architecture.

    Args:
        name: Its name.

    Returns:
        The architecture.

    Raises:
        ImageError: Monobase makes no images for it.
    """
    found = ARCHITECTURES.get(name)
    if found is None:
        raise ImageError(
            f"{name}: is not an architecture of the images, which are {', '.join(ARCHITECTURES)}"
        )
    return found
