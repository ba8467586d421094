"""An extra is left out on a machine that one of its packages has no wheel for, and nowhere else."""

from typing import cast

from packaging.metadata import Metadata
from packaging.tags import parse_tag
from packaging.version import Version
from pypi_simple import DistributionPackage

from tools.releases.cuda_extras import served_extras
from tools.releases.index import IndexedWheel

_METADATA = """Metadata-Version: 2.1
Name: cuda-toolkit
Version: 12.8.1
Provides-Extra: all
Provides-Extra: cublas
Provides-Extra: opencl
Provides-Extra: visual
Requires-Dist: nvidia-cublas==12.8.*; sys_platform == 'linux' and extra == 'cublas'
Requires-Dist: nvidia-opencl==12.8.90.*; sys_platform == 'linux' and extra == 'opencl'
Requires-Dist: nvidia-cublas==12.8.*; sys_platform == 'linux' and extra == 'all'
Requires-Dist: nvidia-opencl==12.8.90.*; sys_platform == 'linux' and extra == 'all'
Requires-Dist: nvidia-visual==12.8.*; sys_platform == 'win32' and extra == 'visual'
"""


def _wheel(name: str, version: str, machine: str) -> IndexedWheel:
    tags = parse_tag(f"py3-none-manylinux_2_17_{machine}")
    return IndexedWheel(
        f"{name}-{version}.whl", Version(version), tags, "", "", cast("DistributionPackage", None)
    )


def test_an_extra_without_a_wheel_of_its_version_is_left_out_for_that_machine() -> None:
    wheels = {
        "nvidia-cublas": [_wheel("a", "12.8.4", "x86_64"), _wheel("a", "12.8.4", "aarch64")],
        "nvidia-opencl": [_wheel("b", "12.8.90", "x86_64"), _wheel("b", "12.9.1", "aarch64")],
    }
    metadata = Metadata.from_email(_METADATA, validate=False)
    assert served_extras(metadata, lambda name: wheels[name]) == {"aarch64": ["cublas", "visual"]}


def test_a_machine_that_has_all_needs_no_list() -> None:
    metadata = Metadata.from_email(_METADATA, validate=False)
    served = served_extras(
        metadata,
        lambda name: [_wheel(name, "12.8.90", "x86_64"), _wheel(name, "12.8.90", "aarch64")],
    )
    assert served == {}
