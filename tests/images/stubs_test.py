"""Programs that call the driver, built in the runtime's image, where there is none."""

from textwrap import dedent

from image.architecture import AMD64
from image.stubs.shared_object import Stub, to_elf
from tests.images.engine import Engine

pytest_plugins = ["tests.images.fixtures"]

STUBS = "/opt/monobase/lib64/stubs"
CALLS = """
cat >ours.c <<'END'
#include <stdio.h>
int cuInit(unsigned);
int nvmlInit_v2(void);
int main(void) { return printf("%d %d\\n", cuInit(0), nvmlInit_v2()) < 0; }
END
shows() { readelf -dW "$1" | sed -En 's/.*[(](NEEDED|RPATH|RUNPATH)[)].*\\[(.*)\\]/\\1 \\2/p'; }
"""
NEEDED = ["NEEDED libcuda.so.1", "NEEDED libnvidia-ml.so.1", "NEEDED libc.so.6"]


def test_compilers_link_with_the_driver_s_libraries_and_write_no_path_to_the_stubs(
    podman: Engine, images: dict[str, str]
) -> None:
    script = f"set -e; cd /tmp; {CALLS}\ngcc ours.c -lcuda -lnvidia-ml -o ours\nshows ours"
    assert podman.shell(images["runtime"], script).splitlines() == NEEDED
    # What an activation puts before it keeps it in reach; --no-undefined asks for every symbol.
    script = f"""set -e; cd /tmp; {CALLS}
    export LIBRARY_PATH=/nowhere:$LIBRARY_PATH
    g++ -Wl,--no-undefined -shared -fPIC -x c++ - -o ours.so -lcuda <<'END'
    extern "C" int cuLaunchKernel_ptsz(void); extern "C" int cuMemAlloc_v2(void);
    int ours() {{ return cuLaunchKernel_ptsz() + cuMemAlloc_v2(); }}\nEND
    shows ours.so"""
    assert "NEEDED libcuda.so.1" in podman.shell(images["runtime"], script).splitlines()


def test_cmake_links_with_the_driver_s_libraries_and_writes_no_path_to_the_stubs(
    podman: Engine, images: dict[str, str]
) -> None:
    """With a toolkit such as the node has: with nvcc, without stubs."""
    toolkit = podman.directory / "toolkit"
    for folder in ("bin", "include", "lib64"):
        (toolkit / folder).mkdir(parents=True)
    nvcc = toolkit / "bin" / "nvcc"
    nvcc.write_text('#!/bin/sh\necho "#\\$ TOP=/toolkit" >&2; echo "Cuda compilation tools, V13.0.96"\n')
    nvcc.chmod(0o755)
    (toolkit / "include" / "cuda_runtime.h").touch()
    (toolkit / "include" / "cuda.h").write_text("#define CUDA_VERSION 13000\n")
    runtime = Stub("libcudart.so.13", "a test's", 1, ["cudaGetDevice"])
    (toolkit / "lib64" / "libcudart.so").write_bytes(to_elf(runtime, AMD64))
    cmake = """
    cat >CMakeLists.txt <<'END'
    cmake_minimum_required(VERSION 3.18)
    project(ours C)
    find_package(CUDAToolkit REQUIRED)
    add_executable(ours ours.c)
    target_link_libraries(ours CUDA::cuda_driver CUDA::nvml)
    END
    cmake -S . -B build >/dev/null; cmake --build build >/dev/null; shows build/ours
    cmake --install build --prefix there >/dev/null
    """
    script = f"set -e; cd /tmp; {CALLS}{dedent(cmake)}"
    options = (
        *("--volume", f"{toolkit}:/toolkit:ro", "--env", "CUDA_PATH=/toolkit"),
        *("--env", "PATH=/toolkit/bin:/usr/bin:/bin"),
    )
    assert podman.shell(images["runtime"], script, *options).splitlines() == NEEDED


def test_a_program_runs_with_the_driver_and_never_with_a_stub(podman: Engine, images: dict[str, str]) -> None:
    build = f"set -e; cd /tmp; {CALLS}\ngcc ours.c -lcuda -lnvidia-ml -o ours; set +e\n"
    # No driver: the loader says so, whatever search path of ours there is.
    script = f'{build} ./ours 2>&1; echo "$LD_LIBRARY_PATH"; ldconfig -p | grep -c stubs'
    said = podman.shell(images["runtime"], script, code=None).splitlines()
    assert "libcuda.so.1: cannot open shared object file" in said[0]
    assert "stubs" not in said[1]
    assert said[2:] == ["0"]
    # A driver, such as a GPU's node has: it is the one.
    driver = (
        "mkdir driver; for of in cuda:cuInit nvidia-ml:nvmlInit_v2; do\n"
        'echo "int ${of#*:}() { return 7; }" | gcc -x c -shared -fPIC -Wl,-soname,lib${of%:*}.so.1 - '
        "-o driver/lib${of%:*}.so.1; done\n"
    )
    script = f"{build} {driver} LD_LIBRARY_PATH=/tmp/driver ./ours"
    assert podman.shell(images["runtime"], script) == "7 7\n"
    # Who loads a stub by its path is told.
    script = f"{build} LD_PRELOAD='{STUBS}/libcuda.so {STUBS}/libnvidia-ml.so' ./ours 2>&1"
    said = podman.shell(images["runtime"], script).splitlines()
    assert said[-1] == "34 12"
    assert sorted(line.split(" is a stub")[0] for line in said[:-1]) == [
        "monobase: error: libcuda.so", "monobase: error: libnvidia-ml.so",
    ]  # fmt: skip
