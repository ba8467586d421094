import pytest
from packaging.requirements import Requirement

from tests.index.cuda_set import TOOLKITS, cudnn_wheel, toolkit_pins, toolkit_wheels
from tests.index.wheel import WheelSpec

LINUX = {"sys_platform": "linux"}


def wheels_of(version: str) -> dict[str, WheelSpec]:
    return {spec.name: spec for spec in toolkit_wheels(version)}


@pytest.mark.parametrize("version", TOOLKITS)
def test_all_of_a_toolkit_is_pinned_by_its_meta_package_and_there(version: str) -> None:
    wheels = wheels_of(version)
    meta = wheels.pop("cuda-toolkit")
    requirements = [Requirement(text) for text in meta.requires_dist]
    wanted = {
        requirement.name: requirement.specifier
        for requirement in requirements
        if requirement.marker is not None and requirement.marker.evaluate({**LINUX, "extra": "all"})
    }
    assert wanted.keys() == wheels.keys()
    assert all(wanted[name].contains(wheels[name].version) for name in wanted)


def test_cuda_12_has_a_folder_for_each_component_and_their_markers() -> None:
    wheels = wheels_of("12.4.1")
    runtime = wheels["nvidia-cuda-runtime-cu12"]
    assert runtime.filename == "nvidia_cuda_runtime_cu12-12.4.127-py3-none-manylinux2014_x86_64.whl"
    assert {
        "nvidia/__init__.py",
        "nvidia/cuda_runtime/__init__.py",
        "nvidia/cuda_runtime/include/__init__.py",
        "nvidia/cuda_runtime/include/cuda.h",
        "nvidia/cuda_runtime/lib/__init__.py",
        "nvidia/cuda_runtime/lib/libcudart.so.12",
    } <= runtime.files.keys()
    nvcc = wheels["nvidia-cuda-nvcc-cu12"]
    assert nvcc.executables == {"nvidia/cuda_nvcc/bin/ptxas"}
    assert {
        "nvidia/cuda_nvcc/nvvm/lib64/libnvvm.so",
        "nvidia/cuda_nvcc/nvvm/libdevice/libdevice.10.bc",
    } <= set(nvcc.files)


def test_cuda_13_shares_one_folder_and_has_the_compiler_itself() -> None:
    wheels = wheels_of("13.0.2")
    files = {path for spec in wheels.values() for path in spec.files if path.startswith("nvidia/")}
    assert all(path.startswith("nvidia/cu13/") for path in files)
    assert "nvidia/cu13/bin/nvcc" in wheels["nvidia-cuda-nvcc"].executables
    assert "nvidia/cu13/nvvm/bin/cicc" in wheels["nvidia-nvvm"].executables
    assert {"nvidia/cu13/lib/libnvrtc.so.13", "nvidia/cu13/lib/libnvrtc.alt.so.13"} <= files


def test_cuda_11_names_its_libraries_in_its_own_way() -> None:
    wheels = wheels_of("11.8.0")
    assert "nvidia/cuda_runtime/lib/libcudart.so.11.0" in wheels["nvidia-cuda-runtime-cu11"].files
    assert "nvidia/cuda_nvrtc/lib/libnvrtc.so.11.2" in wheels["nvidia-cuda-nvrtc-cu11"].files


def test_no_two_wheels_of_a_toolkit_bring_one_path_with_different_contents() -> None:
    for version in TOOLKITS:
        contents: dict[str, bytes] = {}
        for spec in [*toolkit_wheels(version), cudnn_wheel("9.1.0.70", int(version.split(".")[0]))]:
            for path, content in spec.files.items():
                assert contents.setdefault(path, content) == content, (version, path)


def test_pins_are_exact_and_only_for_what_the_toolkit_has() -> None:
    assert toolkit_pins("12.1.1", "cudart", "nvjitlink") == (
        "nvidia-cuda-runtime-cu12==12.1.105",
        "nvidia-nvjitlink-cu12==12.1.105",
    )
    assert toolkit_pins("11.8.0", "nvjitlink") == ()


@pytest.mark.parametrize(
    ("version", "library"), [("8.9.7.29", "libcudnn_cnn_infer.so.8"), ("9.1.0.70", "libcudnn_ops.so.9")]
)
def test_cudnn_has_the_libraries_of_its_major_version(version: str, library: str) -> None:
    spec = cudnn_wheel(version, 12)
    major = version[0]
    assert spec.name == "nvidia-cudnn-cu12"
    assert {
        f"nvidia/cudnn/lib/{library}",
        f"nvidia/cudnn/lib/libcudnn.so.{major}",
        "nvidia/cudnn/include/cudnn.h",
    } <= set(spec.files)
