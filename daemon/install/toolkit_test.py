import pytest

from daemon.install.toolkit import toolkit_links, toolkit_path


@pytest.mark.parametrize(
    ("package", "path", "expected"),
    [
        ("nvidia-cublas-cu12", "nvidia/cublas/lib/libcublas.so.12", "lib64/libcublas.so.12"),
        ("nvidia-cublas", "nvidia/cu13/lib/libcublas.so.13", "lib64/libcublas.so.13"),
        ("nvidia-cuda-nvcc", "nvidia/cu13/bin/nvcc", "bin/nvcc"),
        ("nvidia-cuda-nvcc-cu12", "nvidia/cuda_nvcc/nvvm/libdevice/l.bc", "nvvm/libdevice/l.bc"),
        ("nvidia-cuda-cupti", "nvidia/cu13/include/generated_cuda_meta.h", "include/generated_cuda_meta.h"),
        ("nvidia-cuda-cupti-cu12", "nvidia/cuda_cupti/__init__.py", None),
        ("nvidia-cuda-cupti-cu12", "nvidia/__init__.py", None),
        ("nvidia-cublas", "nvidia_cublas-13.0.dist-info/METADATA", None),
        ("nvidia-x", "nvidia_x-1.dist-info/licenses/License.txt", "share/licenses/nvidia_x-1/License.txt"),
    ],
)  # fmt: skip
def test_files_of_wheels_stand_where_a_build_looks_for_them(
    package: str, path: str, expected: str | None
) -> None:
    assert toolkit_path(package, path, "cuda") == expected


def test_headers_of_the_sanitizer_stand_apart_from_those_of_cupti() -> None:
    path = "nvidia/cu13/include/generated_cuda_meta.h"
    assert (
        toolkit_path("nvidia-cuda-sanitizer-api", path, "cuda")
        == "compute-sanitizer/include/generated_cuda_meta.h"
    )


def test_the_libraries_of_cudnn_stay_in_lib() -> None:
    assert toolkit_path("nvidia-cudnn-cu12", "nvidia/cudnn/lib/libcudnn.so.9", "cudnn") == "lib/libcudnn.so.9"


def test_linkers_find_libraries_without_their_version() -> None:
    paths = ["lib64/libcudart.so.12", "lib64/libfoo.so", "include/cuda.h"]
    assert {link.path: link.target for link in toolkit_links(paths, "cuda")} == {
        "lib64/libcudart.so": "libcudart.so.12",
        "lib": "lib64",
        "targets/x86_64-linux/include": "../../include",
        "targets/x86_64-linux/lib": "../../lib64",
    }


def test_a_folder_that_a_toolkit_lacks_has_no_link() -> None:
    assert [link.path for link in toolkit_links(["include/cuda.h"], "cuda")] == [
        "targets/x86_64-linux/include"
    ]


def test_nvvm_is_found_where_numba_looks_for_it() -> None:
    links = {link.path: link.target for link in toolkit_links(["lib64/libnvvm.so.4"], "cuda")}
    assert links["nvvm/lib64/libnvvm.so"] == "../../lib64/libnvvm.so.4"


def test_cudnn_has_no_folders_of_cuda() -> None:
    assert [link.path for link in toolkit_links(["lib/libcudnn.so.9"], "cudnn")] == ["lib/libcudnn.so"]
