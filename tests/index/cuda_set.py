"""CUDA and cuDNN as the default index has them: a meta-package with extras, and wheels with the real layout.

Names, versions, folders and library names are those of the real wheels, read from the index; contents are
synthetic. The CUDA 11 and 12 wheels put each component into a folder of its own (``nvidia/cuda_runtime/lib``)
with empty ``__init__.py`` files that all of them bring; the CUDA 13 wheels share
``nvidia/cu13/{bin,include,lib}``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.index.payload import filler, header_file, program, shared_object
from tests.index.wheel import WheelSpec

_NEW_LAYOUT_SINCE = 13
_PLATFORM = "manylinux2014_x86_64"
_NEW_PLATFORM = "manylinux2014_x86_64.manylinux_2_17_x86_64"
_ON_EVERY_SYSTEM = "sys_platform == 'win32' or sys_platform == 'linux'"
_CUDNN_LIBRARIES = {
    "8": ("", "_adv_infer", "_adv_train", "_cnn_infer", "_cnn_train", "_ops_infer", "_ops_train"),
    "9": (
        "",
        "_adv",
        "_cnn",
        "_engines_precompiled",
        "_engines_runtime_compiled",
        "_graph",
        "_heuristic",
        "_ops",
    ),
}


@dataclass(frozen=True, slots=True)
class CudaScale:
    """The size of the synthetic wheels.

    Attributes:
        library_size_bytes: Size of each shared library and program.
        headers: Headers of each component, beside the ones that its name promises.
    """

    library_size_bytes: int = 4096
    headers: int = 3


SMALL = CudaScale()


@dataclass(frozen=True, slots=True)
class _Component:
    """One component of a toolkit; ``{major}`` and ``{minor}`` in names of libraries are the toolkit's."""

    extra: str
    project: str
    folder: str
    headers: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()


_OLD_COMPONENTS = (
    _Component(
        "cublas", "cublas", "cublas", ("cublas.h",), ("libcublas.so.{major}", "libcublasLt.so.{major}")
    ),
    _Component("cccl", "cuda-cccl", "cuda_cccl", ("cub/cub.cuh", "thrust/version.h", "nv/target")),
    _Component(
        "cudart", "cuda-runtime", "cuda_runtime", ("cuda.h", "cuda_runtime.h"), ("libcudart.so.{abi}",)
    ),
    _Component(
        "cupti",
        "cuda-cupti",
        "cuda_cupti",
        ("cupti.h",),
        ("libcupti.so.{abi}", "libnvperf_host.so", "libcheckpoint.so"),
    ),
    _Component(
        "nvcc",
        "cuda-nvcc",
        "cuda_nvcc",
        ("crt/host_config.h", "fatbinary_section.h", "nvPTXCompiler.h"),
        programs=("bin/ptxas",),
        other=(
            "lib/__init__.py",
            "nvvm/include/nvvm.h",
            "nvvm/lib64/libnvvm.so",
            "nvvm/libdevice/libdevice.10.bc",
        ),
    ),
    _Component(
        "nvrtc",
        "cuda-nvrtc",
        "cuda_nvrtc",
        ("nvrtc.h",),
        ("libnvrtc.so.{nvrtc_abi}", "libnvrtc-builtins.so.{major}.{minor}"),
    ),
    _Component("cufft", "cufft", "cufft", ("cufft.h",), ("libcufft.so.{fft}", "libcufftw.so.{fft}")),
    _Component("nvtx", "nvtx", "nvtx", ("nvToolsExt.h", "nvtx3/nvToolsExt.h"), ("libnvToolsExt.so.1",)),
    _Component("nvjitlink", "nvjitlink", "nvjitlink", ("nvJitLink.h",), ("libnvJitLink.so.{major}",)),
)
_NEW_COMPONENTS = (
    _Component("cublas", "cublas", "", ("cublas.h",), ("libcublas.so.{major}", "libcublasLt.so.{major}")),
    _Component(
        "cccl", "cuda-cccl", "", ("cccl/cub/cub.cuh", "nv/target"), other=("lib/cmake/cub/cub-config.cmake",)
    ),
    _Component("crt", "cuda-crt", "", ("crt/host_config.h", "crt/func_macro.h")),
    _Component(
        "cudart",
        "cuda-runtime",
        "",
        ("cuda.h", "cuda_runtime.h"),
        ("libcudart.so.{major}",),
        other=("lib/libcudadevrt.a", "lib/libcudart_static.a"),
    ),
    _Component("cupti", "cuda-cupti", "", ("cupti.h",), ("libcupti.so.{major}", "libnvperf_host.so")),
    _Component(
        "nvcc",
        "cuda-nvcc",
        "",
        ("fatbinary_section.h",),
        programs=("bin/nvcc", "bin/ptxas", "bin/cudafe++", "bin/fatbinary", "bin/nvlink", "bin/bin2c"),
        other=("bin/nvcc.profile", "bin/crt/link.stub"),
        requires=("nvidia-nvvm", "nvidia-cuda-runtime", "nvidia-cuda-crt"),
    ),
    _Component(
        "nvrtc",
        "cuda-nvrtc",
        "",
        ("nvrtc.h",),
        (
            "libnvrtc.so.{major}",
            "libnvrtc.alt.so.{major}",
            "libnvrtc-builtins.so.{major}.{minor}",
            "libnvrtc-builtins.alt.so.{major}.{minor}",
        ),
    ),
    _Component("cufft", "cufft", "", ("cufft.h",), ("libcufft.so.{fft}", "libcufftw.so.{fft}")),
    _Component("nvtx", "nvtx", "", ("nvtx3/nvToolsExt.h",), ("libnvtx3interop.so.1",)),
    _Component("nvjitlink", "nvjitlink", "", ("nvJitLink.h",), ("libnvJitLink.so.{major}",)),
    _Component(
        "nvvm",
        "nvvm",
        "",
        ("nvvm.h",),
        ("libnvvm.so.4",),
        programs=("nvvm/bin/cicc",),
        other=("nvvm/libdevice/libdevice.10.bc",),
    ),
)

_VERSIONS: Mapping[str, Mapping[str, str]] = {
    "11.8.0": {
        "cublas": "11.11.3.6",
        "cccl": "11.8.89",
        "cudart": "11.8.89",
        "cupti": "11.8.87",
        "nvcc": "11.8.89",
        "nvrtc": "11.8.89",
        "cufft": "10.9.0.58",
        "nvtx": "11.8.86",
    },
    "12.1.1": {
        "cublas": "12.1.3.1",
        "cccl": "12.1.109",
        "cudart": "12.1.105",
        "cupti": "12.1.105",
        "nvcc": "12.1.105",
        "nvrtc": "12.1.105",
        "cufft": "11.0.2.54",
        "nvtx": "12.1.105",
        "nvjitlink": "12.1.105",
    },
    "12.4.1": {
        "cublas": "12.4.5.8",
        "cccl": "12.4.127",
        "cudart": "12.4.127",
        "cupti": "12.4.127",
        "nvcc": "12.4.131",
        "nvrtc": "12.4.127",
        "cufft": "11.2.1.3",
        "nvtx": "12.4.127",
        "nvjitlink": "12.4.127",
    },
    "12.6.3": {
        "cublas": "12.6.4.1",
        "cccl": "12.6.77",
        "cudart": "12.6.77",
        "cupti": "12.6.80",
        "nvcc": "12.6.85",
        "nvrtc": "12.6.85",
        "cufft": "11.3.0.4",
        "nvtx": "12.6.77",
        "nvjitlink": "12.6.85",
    },
    "12.8.1": {
        "cublas": "12.8.4.1",
        "cccl": "12.8.90",
        "cudart": "12.8.90",
        "cupti": "12.8.90",
        "nvcc": "12.8.93",
        "nvrtc": "12.8.93",
        "cufft": "11.3.3.83",
        "nvtx": "12.8.90",
        "nvjitlink": "12.8.93",
    },
    "13.0.2": {
        "cublas": "13.1.0.3",
        "cccl": "13.0.85",
        "crt": "13.0.88",
        "cudart": "13.0.96",
        "cupti": "13.0.85",
        "nvcc": "13.0.88",
        "nvrtc": "13.0.88",
        "cufft": "12.0.0.61",
        "nvtx": "13.0.85",
        "nvjitlink": "13.0.88",
        "nvvm": "13.0.88",
    },
}
TOOLKITS = tuple(_VERSIONS)


def toolkit_wheels(version: str, scale: CudaScale = SMALL) -> Iterator[WheelSpec]:
    """Yield the meta-package of a toolkit and the wheels of its components.

    Args:
        version: One of ``TOOLKITS``.
        scale: How large the wheels are.
    """
    versions = _VERSIONS[version]
    components = [component for component in _components(version) if component.extra in versions]
    pins = {
        component.extra: f"{_project(component, version)}=={versions[component.extra]}.*"
        for component in components
    }
    yield WheelSpec(
        "cuda-toolkit",
        version,
        python_tag="py2.py3",
        extras=("all", *pins),
        requires_dist=(
            *(f"{pin}; ({_ON_EVERY_SYSTEM}) and extra == 'all'" for pin in pins.values()),
            *(f"{pin}; ({_ON_EVERY_SYSTEM}) and extra == '{extra}'" for extra, pin in pins.items()),
        ),
    )
    for component in components:
        yield _component_wheel(component, version, scale)


def toolkit_pins(version: str, *extras: str) -> tuple[str, ...]:
    """Return the requirements of some components of a toolkit, pinned as Torch pins them."""
    return tuple(
        f"{_project(component, version)}=={_VERSIONS[version][component.extra]}"
        for component in _components(version)
        if component.extra in extras and component.extra in _VERSIONS[version]
    )


def cudnn_wheel(version: str, cuda_major: int, scale: CudaScale = SMALL) -> WheelSpec:
    """Return the wheel of a cuDNN.

    Args:
        version: Version, such as ``9.1.0.70``.
        cuda_major: Major version of the CUDA that it is for.
        scale: How large the wheel is.
    """
    major = version.split(".", maxsplit=1)[0]
    folder = "nvidia/cudnn"
    seed = f"cudnn {version} cu{cuda_major}"
    files = {
        f"{folder}/include/cudnn{part}": header_file(seed + part) for part in (".h", "_version.h", "_ops.h")
    }
    files |= _more_headers(f"{folder}/include", seed, scale)
    for part in _CUDNN_LIBRARIES[major]:
        soname = f"libcudnn{part}.so.{major}"
        files[f"{folder}/lib/{soname}"] = shared_object(soname, seed + part, scale.library_size_bytes)
    if cuda_major < _NEW_LAYOUT_SINCE:
        files |= _package_markers(files)
    return _nvidia_wheel(f"nvidia-cudnn-cu{cuda_major}", version, files, frozenset(), _PLATFORM)


def _components(version: str) -> tuple[_Component, ...]:
    return _NEW_COMPONENTS if _major(version) >= _NEW_LAYOUT_SINCE else _OLD_COMPONENTS


def _component_wheel(component: _Component, toolkit: str, scale: CudaScale) -> WheelSpec:
    major, minor, _ = toolkit.split(".")
    new_layout = int(major) >= _NEW_LAYOUT_SINCE
    folder = f"nvidia/cu{major}" if new_layout else f"nvidia/{component.folder}"
    version = _VERSIONS[toolkit][component.extra]
    seed = f"{component.project} {version}"
    names = {
        "major": major,
        "minor": minor,
        "abi": "11.0" if component.extra == "cudart" and major == "11" else major,
        "nvrtc_abi": "11.2" if major == "11" else major,
        "fft": version.split(".", maxsplit=1)[0],
    }
    files = {f"{folder}/include/{name}": header_file(seed + name) for name in component.headers}
    if component.headers:
        files |= _more_headers(f"{folder}/include/{component.extra}_detail", seed, scale)
    for pattern in component.libraries:
        soname = pattern.format(**names)
        files[f"{folder}/lib/{soname}"] = shared_object(soname, seed + soname, scale.library_size_bytes)
    programs = {f"{folder}/{name}": name.rsplit("/", maxsplit=1)[-1] for name in component.programs}
    for path, name in programs.items():
        line = f"{name}: NVIDIA (R) Cuda, synthetic, release {major}.{minor}, V{version}"
        files[path] = program(line, seed + path, scale.library_size_bytes)
    for name in component.other:
        files[f"{folder}/{name}"] = _other_file(name, seed)
    if not new_layout:
        files |= _package_markers(files)
    platform = _NEW_PLATFORM if new_layout else _PLATFORM
    project = _project(component, toolkit)
    return _nvidia_wheel(project, version, files, frozenset(programs), platform, component.requires)


def _nvidia_wheel(
    project: str,
    version: str,
    files: dict[str, bytes],
    executables: frozenset[str],
    platform: str,
    requires_dist: tuple[str, ...] = (),
) -> WheelSpec:
    spec = WheelSpec(
        project,
        version,
        platform_tag=platform,
        requires_python=">=3",
        requires_dist=requires_dist,
        files=files,
        executables=executables,
    )
    files[f"{spec.dist_info}/License.txt"] = b"The same licence stands in each wheel.\n" * 100
    return spec


def _more_headers(folder: str, seed: str, scale: CudaScale) -> dict[str, bytes]:
    return {f"{folder}/part_{number}.h": header_file(f"{seed} {number}") for number in range(scale.headers)}


def _package_markers(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the empty ``__init__.py`` files of ``nvidia``, of the component and of its include and lib."""
    folders = {"/".join(path.split("/")[:depth]) for path in files for depth in (1, 2, 3)}
    return {f"{folder}/__init__.py": b"" for folder in folders if folder.endswith(("/include", "/lib"))} | {
        f"{folder}/__init__.py": b"" for folder in folders if folder.count("/") < 2
    }


def _other_file(name: str, seed: str) -> bytes:
    if name.endswith("__init__.py"):
        return b""
    if name.endswith(".so"):
        return shared_object(name.rsplit("/", maxsplit=1)[-1], seed + name, 0)
    if name.endswith(".h"):
        return header_file(seed + name)
    return filler(seed + name, 2048)


def _project(component: _Component, toolkit: str) -> str:
    major = _major(toolkit)
    return f"nvidia-{component.project}" + ("" if major >= _NEW_LAYOUT_SINCE else f"-cu{major}")


def _major(version: str) -> int:
    return int(version.split(".", maxsplit=1)[0])
