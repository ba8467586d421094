"""Findings about CUDA and the GPUs."""

from collections.abc import Iterator

from .architectures import code_for
from .driver import Driver
from .finding import Finding
from .gpus import Cuda, Gpu
from .version import numbers

# Errors of cuInit with a known remedy (CUDA Driver API, CUresult).
_REMEDIES = {
    34: ("A stub of the driver was loaded: remove the folder of stubs from LD_LIBRARY_PATH.",),
    100: (
        "No GPU is visible: are CUDA_VISIBLE_DEVICES and NVIDIA_VISIBLE_DEVICES right, and was a GPU given?",
    ),
    803: (
        "libcuda.so.1 is of another driver than the kernel's: the image must have no copy of its own.",
        "Forward-compatibility libraries (cuda-compat) that do not suit the driver's branch do the same.",
    ),
    804: ("Forward-compatibility libraries (cuda-compat) do not run on this GPU: remove them.",),
    802: ("The node's fabric manager is not running (NVSwitch), or is still starting.",),
    999: ("On the node: is nvidia-uvm loaded, and does `dmesg` show errors of NVRM (Xid)?",),
}

_NOT_ADDED = (
    "The container runtime must add the driver: NVIDIA_DRIVER_CAPABILITIES needs `compute` (and `utility`).",
)


def check_cuda(cuda: Cuda, driver: Driver, needs_gpu: bool) -> Finding:
    """Report whether CUDA can be started.

    Args:
        cuda: What CUDA's driver library says.
        driver: The driver.
        needs_gpu: Whether the environment is built for CUDA.

    Returns:
        What was found.
    """
    if not cuda.loaded:
        if not driver.has_device:
            found = "libcuda.so.1 is not here, as there is no GPU"
            return Finding("cuda", "note" if needs_gpu else "ok", found)
        return Finding("cuda", "problem", f"libcuda.so.1 cannot be loaded: {cuda.error_text}", _NOT_ADDED)
    if cuda.error:
        found = f"does not start: error {cuda.error}, {cuda.error_text}"
        remedy = _REMEDIES.get(cuda.error, ())
        return Finding("cuda", "problem" if needs_gpu and driver.has_device else "note", found, remedy)
    if not cuda.gpus:
        return Finding("cuda", "warning" if needs_gpu else "ok", "starts, and sees no GPU", _REMEDIES[100])
    found = f"the driver's library runs CUDA up to {cuda.version}; GPUs: {len(cuda.gpus)}"
    return Finding("cuda", "ok", found)


def check_gpus(
    cuda: Cuda, build_cuda: str | None, architectures: tuple[str, ...] | None
) -> Iterator[Finding]:
    """Compare each GPU with what the environment's Torch has code for.

    Args:
        cuda: What CUDA's driver library says.
        build_cuda: CUDA of the environment, or None.
        architectures: GPU architectures of its Torch; None if they are unknown.

    Yields:
        A finding for each GPU.
    """
    for number, gpu in enumerate(cuda.gpus):
        yield _check_gpu(f"gpu {number}", gpu, cuda.version, build_cuda, architectures)


def _check_gpu(
    subject: str, gpu: Gpu, version: str, build_cuda: str | None, architectures: tuple[str, ...] | None
) -> Finding:
    major, minor = gpu.capability
    found = f"{gpu.name}, {gpu.memory_bytes / 2**30:.1f} GiB, capability {major}.{minor}"
    if build_cuda is None:
        return Finding(subject, "note", f"{found}; the environment does not use it (no CUDA)")
    if architectures is None:
        return Finding(subject, "ok", f"{found}; what Torch has code for is not recorded")
    code = code_for(gpu.capability, architectures)
    has = f"Torch has code for {' '.join(architectures)}"
    if code == "machine code":
        return Finding(subject, "ok", f"{found}; {has}")
    if code == "PTX":
        return _check_ptx(subject, f"{found}; {has}", version, build_cuda)
    return Finding(
        subject,
        "problem",
        f"{found}; {has}, and nothing that this GPU runs (`no kernel image is available`)",
        (f"Take a Torch with code for sm_{major}{minor}: newer for a new GPU, older for an old GPU.",),
    )


def _check_ptx(subject: str, found: str, version: str, build_cuda: str) -> Finding:
    """Report whether the driver compiles the code: it does so for its own CUDA and older ones."""
    if version and numbers(version) < numbers(build_cuda):
        advice = f"The driver compiles code of CUDA {version} and older: update it, or take another build."
        return Finding(subject, "problem", f"{found}, as PTX of CUDA {build_cuda}", (advice,))
    return Finding(
        subject,
        "note",
        f"{found}: the driver compiles it for this GPU at the first start",
        ("Keep CUDA_CACHE_PATH on a volume, or take a Torch with code for this GPU.",),
    )
