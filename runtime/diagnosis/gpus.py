"""The GPUs that CUDA sees in this process, read from the driver's own library: no nvidia-smi, no Torch.

(CUDA Driver API: cuInit, cuDriverGetVersion, cuDeviceGetCount, cuDeviceGetName, cuDeviceGetAttribute,
cuDeviceTotalMem_v2.) No context is made on a GPU, so a model that runs beside it loses no memory.
"""

import ctypes
import json
import sys
from dataclasses import asdict, dataclass, field

LIBRARY = "libcuda.so.1"
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # CUdevice_attribute


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU.

    Attributes:
        name: Its name.
        capability: Its compute capability, such as (9, 0).
        memory_bytes: Its memory.
    """

    name: str
    capability: tuple[int, int]
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Cuda:
    """The answers of CUDA's driver library.

    Attributes:
        loaded: Whether the library was loaded.
        error: Number of the error of cuInit or of what followed; 0 for none.
        error_text: What that error is, or why the library was not loaded.
        version: The newest CUDA that the library runs, such as `13.0`; empty if unknown.
        gpus: The GPUs.
    """

    loaded: bool
    error: int = 0
    error_text: str = ""
    version: str = ""
    gpus: tuple[Gpu, ...] = field(default=())


def read_cuda(library: str = LIBRARY) -> Cuda:
    """Ask CUDA's driver library for the GPUs.

    Args:
        library: The library, which the loader searches for.

    Returns:
        What it says.
    """
    try:
        cuda = ctypes.CDLL(library)
    except OSError as problem:
        return Cuda(False, error_text=str(problem))
    error: int = cuda.cuInit(0)
    if error:
        return Cuda(True, error, _error_text(cuda, error), _version(cuda))
    count = ctypes.c_int()
    error = cuda.cuDeviceGetCount(ctypes.byref(count))
    gpus = tuple(_gpu(cuda, number) for number in range(count.value))
    return Cuda(True, error, _error_text(cuda, error) if error else "", _version(cuda), gpus)


def _version(cuda: ctypes.CDLL) -> str:
    number = ctypes.c_int()
    if cuda.cuDriverGetVersion(ctypes.byref(number)) or not number.value:
        return ""
    return f"{number.value // 1000}.{number.value % 1000 // 10}"


def _error_text(cuda: ctypes.CDLL, error: int) -> str:
    text = ctypes.c_char_p()
    cuda.cuGetErrorString(error, ctypes.byref(text))
    return text.value.decode(errors="replace") if text.value else "an error without a name"


def _gpu(cuda: ctypes.CDLL, number: int) -> Gpu:
    device, value = ctypes.c_int(), ctypes.c_int()
    cuda.cuDeviceGet(ctypes.byref(device), number)
    name = ctypes.create_string_buffer(256)
    cuda.cuDeviceGetName(name, len(name), device)
    capability = []
    for attribute in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR):
        cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        capability.append(value.value)
    memory = ctypes.c_size_t()
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    return Gpu(name.value.decode(errors="replace"), (capability[0], capability[1]), memory.value)


def main() -> None:
    """Print what CUDA says as one line of JSON: the library is loaded in a process of its own."""
    sys.stdout.write(json.dumps(asdict(read_cuda())) + "\n")


def parse_cuda(text: str) -> Cuda:
    """Read what `main` printed."""
    fields = json.loads(text)
    gpus = tuple(
        Gpu(gpu["name"], (gpu["capability"][0], gpu["capability"][1]), gpu["memory_bytes"])
        for gpu in fields.pop("gpus")
    )
    return Cuda(**fields, gpus=gpus)
