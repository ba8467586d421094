"""The oldest NVIDIA driver that each CUDA version runs on.

Within a major version, CUDA programs run on the first driver of that major version and on every newer driver
(minor version compatibility, since CUDA 11). So the minimum is the same for all releases of a major version.
It is not the newer driver that a toolkit's installer brings: that one is needed only for features of the
driver, and for compiling PTX at run time, which Torch does for a GPU that its build has no code for.

Sources, read on 2026-11-26 (the first for the ranges, the second for the exact numbers of a branch, the same
for x86_64 and aarch64):

- https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html (table 1)
- https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/index.html (the table "CUDA Toolkit and Minimum
  Required Driver Version for CUDA Minor Version Compatibility")
"""

MINIMUM_DRIVERS = {
    "11": "450.80.02",
    "12": "525.60.13",
    "13": "580.65.06",
}
"""Oldest Linux driver by CUDA major version. A new major version is a new line."""


def minimum_driver(cuda: str) -> str | None:
    """Return the oldest NVIDIA driver that a CUDA version runs on.

    Args:
        cuda: CUDA version, such as `12.4` or `12.4.1`.

    Returns:
        The version of the driver, such as `525.60.13`; None for a CUDA version that is not in the table.
    """
    return MINIMUM_DRIVERS.get(cuda.partition(".")[0])
