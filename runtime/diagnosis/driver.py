"""The NVIDIA driver of the machine, and what it runs."""

import re
from dataclasses import dataclass
from pathlib import Path

from .finding import Finding
from .offer import Offer
from .version import numbers

# NVIDIA's minimum for all releases of a CUDA major version; gens/drivers.py has the sources.
_MINIMUMS = {"11": "450.80.02", "12": "525.60.13", "13": "580.65.06"}

# Of a word such as 580.65.06-grid; as activation/fit.sh reads it.
_VERSION = re.compile(r"[0-9][0-9.]*\.[0-9][0-9.]*")


@dataclass(frozen=True, slots=True)
class Driver:
    """The driver, as a container sees it.

    Attributes:
        version: Its version; None if it is unknown.
        source: The file that says so.
        has_device: Whether the container has been given a GPU (`/dev/nvidiactl`).
    """

    version: str | None
    source: str | None
    has_device: bool


def read_driver(root: Path = Path("/")) -> Driver:
    """Find out which driver the machine has, as activation does.

    Args:
        root: The folder that stands for `/`.

    Returns:
        The driver.
    """
    has_device = (root / "dev/nvidiactl").exists()
    path = root / "proc/driver/nvidia/version"
    try:
        line = path.read_text(errors="replace").partition("\n")[0]
    except OSError:
        line = ""
    for word in line.split():
        found = _VERSION.match(word)
        if found is not None:
            return Driver(found[0], "/proc/driver/nvidia/version", has_device)
    debian = sorted((root / "usr/lib").glob("*-linux-gnu"))
    for folder in (root / "usr/local/nvidia/lib64", *debian, root / "usr/lib64"):
        for library in sorted(folder.glob("libcuda.so.[0-9]*.[0-9]*")):
            found = _VERSION.match(library.name.removeprefix("libcuda.so."))
            if found is not None:
                return Driver(found[0], f"/{library.relative_to(root)}", has_device)
    return Driver(None, None, has_device)


def minimum_driver(cuda: str, offer: Offer | None) -> str | None:
    """Return the oldest driver that a CUDA version runs on; None if it is unknown."""
    listed = {} if offer is None else offer.drivers
    return listed.get(cuda) or _MINIMUMS.get(cuda.partition(".")[0])


def check_driver(
    driver: Driver, cuda: str | None, offer: Offer | None, compat: str | None, cpu_build: str | None = None
) -> Finding:
    """Compare the driver with what an environment needs.

    Args:
        driver: The driver.
        cuda: CUDA of the environment; None if it needs no GPU, or is unknown.
        offer: The list of the environment's generation.
        compat: Folder of forward-compatibility libraries that activation added, or None.
        cpu_build: TORCH_VERSION of the same Torch for CPUs; None if the generation has none.

    Returns:
        What was found.
    """
    if driver.version is None and not driver.has_device:
        return _without_gpu("no NVIDIA driver, and no GPU (no /dev/nvidiactl)", cuda, cpu_build)
    if not driver.has_device:
        found = f"{driver.version} on the node, but this container has no GPU (no /dev/nvidiactl)"
        return _without_gpu(found, cuda, cpu_build)
    if driver.version is None:
        return Finding("driver", "note", "of an unknown version; activation cannot compare it with builds")
    found = f"{driver.version} ({driver.source})"
    need = None if cuda is None else minimum_driver(cuda, offer)
    if need is None:
        return Finding("driver", "ok", found)
    if numbers(driver.version) >= numbers(need):
        return Finding("driver", "ok", f"{found}; CUDA {cuda} needs {need}")
    if compat is not None:
        return Finding("driver", "note", f"{found}; CUDA {cuda} needs {need}: completed by {compat}")
    return Finding(
        "driver",
        "problem",
        f"{found}; CUDA {cuda} needs {need} or newer",
        ("Take a build for an older CUDA, or a node with a newer driver.",),
    )


def _without_gpu(found: str, cuda: str | None, cpu_build: str | None) -> Finding:
    if cuda is None:
        return Finding("driver", "ok", found)
    return Finding(
        "driver",
        "warning",
        f"{found}; the environment is built for CUDA {cuda}",
        (
            "Ask for a GPU (Kubernetes: nvidia.com/gpu; podman: --device nvidia.com/gpu=all).",
            "Without one, it runs on the CPU, if at all."
            + (f" TORCH_VERSION={cpu_build} is the smaller build for that." if cpu_build else ""),
        ),
    )
