"""A synthetic Torch with all that it pulls in, on the default index and on PyTorch's indexes for each build.

It is shaped like the real one where that matters to an installer: thousands of small files, most of them
headers and Python sources, many the same from release to release; a few large libraries, some of them
identical in several wheels; a wheel for each Python; NVIDIA wheels pinned by it; ``ptxas`` again in Triton.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.index.cuda_set import CudaScale, cudnn_wheel, toolkit_pins, toolkit_wheels
from tests.index.payload import header_file, program, python_source, shared_object
from tests.index.repository import DEFAULT_ROOT, IndexRoot, pytorch_root
from tests.index.server import LocalIndex
from tests.index.wheel import Wheel, WheelSpec

_ON_LINUX = "platform_system == 'Linux' and platform_machine == 'x86_64'"
_CUDA_PARTS = ("cublas", "cudart", "cupti", "nvrtc", "cufft", "nvtx")


@dataclass(frozen=True, slots=True)
class TorchScale:
    """The size of the synthetic wheels.

    Attributes:
        python_files: Python sources of Torch; SymPy has a third as many.
        header_files: Headers of Torch.
        library_size_bytes: Size of the largest library of Torch; others are fractions of it.
        cuda: How large the CUDA and cuDNN wheels are.
    """

    python_files: int
    header_files: int
    library_size_bytes: int
    cuda: CudaScale


SMALL = TorchScale(12, 8, 64 * 1024, CudaScale())
BENCH = TorchScale(1200, 2400, 4 * 1024 * 1024, CudaScale(512 * 1024, 40))


@dataclass(frozen=True, slots=True)
class TorchRelease:
    """A release and what belongs to it.

    Attributes:
        version: Version of Torch, and of torchaudio.
        torchvision: Version of the torchvision for it.
        triton: Version of the Triton that it pins.
        toolkit: CUDA toolkit of the build on the default index.
        cudnn: Version of the cuDNN that it pins.
    """

    version: str
    torchvision: str
    triton: str
    toolkit: str
    cudnn: str


RELEASES: Mapping[str, TorchRelease] = {
    release.version: release
    for release in (
        TorchRelease("2.2.2", "0.17.2", "2.2.0", "12.1.1", "8.9.2.26"),
        TorchRelease("2.3.1", "0.18.1", "2.3.1", "12.1.1", "8.9.2.26"),
        TorchRelease("2.4.1", "0.19.1", "3.0.0", "12.1.1", "9.1.0.70"),
        TorchRelease("2.5.1", "0.20.1", "3.1.0", "12.4.1", "9.1.0.70"),
        TorchRelease("2.6.0", "0.21.0", "3.2.0", "12.4.1", "9.1.0.70"),
        TorchRelease("2.7.1", "0.22.1", "3.3.1", "12.6.3", "9.5.1.17"),
        TorchRelease("2.8.0", "0.23.0", "3.4.0", "12.8.1", "9.10.2.21"),
    )
}
BUILD_TOOLKITS: Mapping[str, str | None] = {
    "cpu": None,
    "cu118": "11.8.0",
    "cu121": "12.1.1",
    "cu124": "12.4.1",
    "cu126": "12.6.3",
    "cu128": "12.8.1",
}


def publish_torch_set(
    index: LocalIndex,
    *,
    releases: Sequence[str],
    pythons: Sequence[str],
    builds: Sequence[str] = (),
    toolkits: Sequence[str] = (),
    scale: TorchScale = SMALL,
) -> list[Wheel]:
    """Fill an index with Torch releases and all that they need.

    Args:
        index: Index to fill.
        releases: Torch releases, of ``RELEASES``.
        pythons: Python versions, such as ``3.11``.
        builds: PyTorch indexes to fill as well, of ``BUILD_TOOLKITS``; each has all the releases.
        toolkits: CUDA toolkits to offer beside those of the releases.
        scale: How large the wheels are.

    Returns:
        All wheels.
    """
    chosen = [RELEASES[version] for version in releases]
    tags = ["cp" + python.replace(".", "") for python in pythons]
    wheels = [index.add(spec) for spec in _support_wheels(tags, scale)]
    needed = {release.toolkit for release in chosen} | set(toolkits)
    needed |= {toolkit for build in builds if (toolkit := BUILD_TOOLKITS[build])}
    for toolkit in sorted(needed):
        wheels += [index.add(spec) for spec in toolkit_wheels(toolkit, scale.cuda)]
    majors = sorted({int(toolkit.split(".")[0]) for toolkit in needed})
    wheels += [
        index.add(cudnn_wheel(version, major, scale.cuda))
        for version in sorted({release.cudnn for release in chosen})
        for major in majors
    ]
    for triton in sorted({release.triton for release in chosen}):
        wheels += [index.add(_triton_wheel(triton, tag, scale)) for tag in tags]
    for release in chosen:
        wheels += _publish_release(index, DEFAULT_ROOT, release, release.toolkit, "", tags, scale)
    for build in builds:
        root = index.add_root(pytorch_root(build))
        for release in chosen:
            wheels += _publish_release(index, root, release, BUILD_TOOLKITS[build], f"+{build}", tags, scale)
    return wheels


def torch_wheel(
    release: TorchRelease, tag: str, *, toolkit: str | None, local: str = "", scale: TorchScale = SMALL
) -> WheelSpec:
    """Return the wheel of a Torch release for one Python and one build.

    Args:
        release: The release.
        tag: Python tag, such as ``cp311``.
        toolkit: CUDA toolkit of the build, None for a CPU build.
        local: Local part of the version with its plus sign, empty on the default index.
        scale: How large it is.
    """
    version = release.version + local
    build = toolkit or "cpu"
    cuda = f"'{'.'.join(toolkit.split('.')[:2])}'" if toolkit else "None"
    files = {
        "torch/__init__.py": b"from torch.version import __version__, cuda\n",
        "torch/version.py": f"__version__ = '{version}'\ncuda = {cuda}\n".encode(),
        "torchgen/__init__.py": b"",
        "functorch/__init__.py": b"",
    }
    for number in range(scale.python_files):
        # Of real sources about a third change from one release to the next.
        seed = f"torch {release.version if number % 3 == 0 else ''} {number}"
        files[f"torch/part_{number % 40}/module_{number}.py"] = python_source(seed)
    for number in range(scale.header_files):
        seed = f"torch {release.version if number % 4 == 0 else ''} {number}.h"
        files[f"torch/include/ATen/ops/op_{number}.h"] = header_file(seed)
    size = scale.library_size_bytes
    libraries = {
        "libtorch_cpu.so": (f"cpu {release.version}", size // 2),
        "libtorch_python.so": (f"python {release.version} {build} {tag}", size // 8),
        "libc10.so": (f"c10 {release.version}", size // 16),
    }
    if toolkit:
        libraries |= {
            "libtorch_cuda.so": (f"cuda {release.version} {build}", size),
            # This one is identical in several releases of one CUDA, and so is cuSPARSELt.
            "libtorch_cuda_linalg.so": (f"linalg {build}", size // 4),
            "libcusparseLt-f80c68d1.so.0": ("cusparselt", size // 8),
        }
    for name, (seed, size_bytes) in libraries.items():
        files[f"torch/lib/{name}"] = shared_object(name, seed, size_bytes)
    protoc = program("libprotoc 3.13.0", "protoc", size // 16)
    files |= {"torch/bin/protoc": protoc, "torch/bin/protoc-3.13.0.0": protoc}
    executables = {path for path in files if path.startswith(("torch/bin/", "torch/lib/"))}
    return WheelSpec(
        "torch",
        version,
        python_tag=tag,
        abi_tag=tag,
        platform_tag="linux_x86_64" if local else "manylinux1_x86_64",
        requires_python=">=3.8.0",
        extras=("optree",),
        requires_dist=_torch_requirements(release, toolkit),
        files=files,
        executables=frozenset(executables),
        console_scripts={"torchrun": "torch.distributed.run:main"},
        deflated=True,
    )


def _torch_requirements(release: TorchRelease, toolkit: str | None) -> tuple[str, ...]:
    requirements = [
        "filelock",
        "typing-extensions>=4.8.0",
        "sympy",
        "jinja2",
        "optree>=0.11.0; extra == 'optree'",
    ]
    if toolkit:
        major = toolkit.split(".", maxsplit=1)[0]
        pinned = (
            *toolkit_pins(toolkit, *_CUDA_PARTS),
            f"nvidia-cudnn-cu{major}=={release.cudnn}",
            f"triton=={release.triton}",
        )
        requirements += [f"{requirement}; {_ON_LINUX}" for requirement in pinned]
    return tuple(requirements)


def _publish_release(
    index: LocalIndex,
    root: IndexRoot,
    release: TorchRelease,
    toolkit: str | None,
    local: str,
    tags: Sequence[str],
    scale: TorchScale,
) -> list[Wheel]:
    wheels = []
    for tag in tags:
        wheels.append(index.add(torch_wheel(release, tag, toolkit=toolkit, local=local, scale=scale), root))
        for project, version in (("torchvision", release.torchvision), ("torchaudio", release.version)):
            wheels.append(index.add(_domain_library(project, version, release, local, tag), root))
    return wheels


def _domain_library(project: str, version: str, release: TorchRelease, local: str, tag: str) -> WheelSpec:
    requires = (f"torch=={release.version}", *(("numpy",) if project == "torchvision" else ()))
    return WheelSpec(
        project,
        version + local,
        python_tag=tag,
        abi_tag=tag,
        platform_tag="linux_x86_64" if local else "manylinux1_x86_64",
        requires_dist=requires,
        files={
            f"{project}/__init__.py": f"__version__ = '{version}{local}'\n".encode(),
            f"{project}/_C.so": shared_object("_C.so", f"{project} {version} {local} {tag}", 4096),
        },
    )


def _triton_wheel(version: str, tag: str, scale: TorchScale) -> WheelSpec:
    size = scale.library_size_bytes
    files = {
        "triton/__init__.py": f"__version__ = '{version}'\n".encode(),
        # Compiled for each release, but not for each Python: identical in all its wheels.
        "triton/_C/libtriton.so": shared_object("libtriton.so", f"triton {version}", size // 2),
        "triton/backends/nvidia/bin/ptxas": program("ptxas: release 12.4", "triton's ptxas", size // 4),
    }
    for number in range(scale.python_files // 20):
        files[f"triton/runtime/module_{number}.py"] = python_source(f"triton {number}")
    return WheelSpec(
        "triton",
        version,
        python_tag=tag,
        abi_tag=tag,
        build_tag="1",
        platform_tag="manylinux2014_x86_64.manylinux_2_17_x86_64",
        requires_dist=("filelock",),
        files=files,
        executables=frozenset({"triton/backends/nvidia/bin/ptxas"}),
        deflated=True,
    )


def _support_wheels(tags: Sequence[str], scale: TorchScale) -> Iterator[WheelSpec]:
    """Yield what Torch and its domain libraries need, and the seed packages of a generation."""
    for project, version in (
        ("filelock", "3.16.1"),
        ("typing-extensions", "4.12.2"),
        ("jinja2", "3.1.4"),
        ("mpmath", "1.3.0"),
        ("optree", "0.13.0"),
        ("pip", "24.2"),
        ("setuptools", "75.1.0"),
        ("wheel", "0.44.0"),
        ("packaging", "24.1"),
        ("cython", "3.0.11"),
    ):
        module = project.replace("-", "_")
        requires = ("markupsafe>=2.0",) if project == "jinja2" else ()
        yield WheelSpec(
            project,
            version,
            requires_dist=requires,
            files={
                f"{module}/__init__.py": f"__version__ = '{version}'\n".encode(),
                f"{module}/api.py": python_source(f"{project} {version}"),
            },
        )
    sympy = {
        f"sympy/part_{number % 20}/module_{number}.py": python_source(f"sympy {number}")
        for number in range(scale.python_files // 3)
    }
    sympy["sympy/__init__.py"] = b"__version__ = '1.13.3'\n"
    man_page = {"data/share/man/man1/isympy.1": b".TH ISYMPY 1\n"}
    yield WheelSpec(
        "sympy", "1.13.3", requires_dist=("mpmath<1.4,>=1.1.0",), files=sympy, data=man_page, deflated=True
    )
    for tag in tags:
        for project, version in (("markupsafe", "2.1.5"), ("numpy", "1.26.4")):
            files = {
                f"{project}/__init__.py": f"__version__ = '{version}'\n".encode(),
                f"{project}/_speedups.so": shared_object("_speedups.so", f"{project} {version} {tag}", 4096),
            }
            yield WheelSpec(
                project,
                version,
                python_tag=tag,
                abi_tag=tag,
                platform_tag="manylinux_2_17_x86_64.manylinux2014_x86_64",
                files=files,
            )
