"""Recognizes the packages of which a process can have only one: Torch, Triton, and the libraries of CUDA."""

import re
from collections.abc import Iterable, Iterator

from tools.layer.base import Base

# NVIDIA's packages without a library of CUDA: bindings of the driver, tools, file formats.
_HARMLESS = frozenset({"nvidia-ml-py", "nvidia-pyindex", "nvidia-modelopt", "cuda-pathfinder", "cuda-core"})
_TORCH = re.compile(r"torch|triton|pytorch-triton.*|triton-(rocm|xpu|nightly)")
_CUDA = re.compile(r"nvidia-.+|cuda-.+")
_MAJOR = re.compile(r".+-cu(?:da)?(?P<major>[0-9]{2})x?")
# Their version is that of CUDA.
_OF_CUDA_VERSION = frozenset(
    {"cuda-bindings", "cuda-python", "cuda-toolkit", "nvidia-cuda-runtime", "nvidia-cuda-nvcc"}
)
_FIRST_WITHOUT_SUFFIX = 13


def second_accelerators(base: Base, versions: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the packages of a layer that would be a second Torch or CUDA beside that of the base.

    Args:
        base: The base.
        versions: Name and version of each package of the layer.

    Yields:
        The name, and why it is a second one.
    """
    cuda = base.environment.cuda or _cuda_of(base)
    major = None if cuda is None else int(cuda.partition(".")[0])
    for name, version in versions:
        if _TORCH.fullmatch(name):
            found = base.wheels.get(name)
            yield name, f"the base has {name} {found.version}" if found else f"the base has no {name}"
        elif _CUDA.fullmatch(name) and name not in _HARMLESS:
            own = _major(name, version)
            if major is None:
                yield name, "the base has no CUDA"
            elif name in base.wheels:
                yield name, f"the base has {name} {base.wheels[name].version}"
            elif own != major:
                yield name, f"it is of CUDA {own}, the base has CUDA {cuda}"


def _major(name: str, version: str) -> int:
    """Return the major version of CUDA that a package is of."""
    found = _MAJOR.fullmatch(name)
    if found is not None:
        return int(found["major"])
    if name in _OF_CUDA_VERSION:
        return int(version.partition(".")[0])
    # From CUDA 13 on, the names have no suffix.
    return _FIRST_WITHOUT_SUFFIX


def _cuda_of(base: Base) -> str | None:
    """Return the CUDA of a stack's lock, which the stack may not name."""
    for name in ("nvidia-cuda-runtime", "nvidia-cuda-runtime-cu12", "nvidia-cuda-runtime-cu11"):
        if name in base.wheels:
            return ".".join(base.wheels[name].version.split(".")[:2])
    return None
