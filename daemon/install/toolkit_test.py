import stat
from pathlib import Path

import pytest

from daemon.errors import WheelContentError
from daemon.install.toolkit import ToolkitTree, lay_out_toolkit
from daemon.install.toolkit_layout import toolkit_links, toolkit_path
from daemon.install.workbench import make_workbench
from daemon.prefix.staging import begin_staging
from gens.generation import Toolkit
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.fake_uv.fake_uv import FakeUv, wanted_tree
from tests.index.wheel import Wheel
from tests.synthetic.catalog import toolkit_cell


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


def test_the_targets_of_an_arm_server_have_nvidias_name_for_it() -> None:
    links = toolkit_links(["lib64/libcudart.so.13", "include/cuda.h"], "cuda", "aarch64")
    assert [link.path for link in links if link.path.startswith("targets")] == [
        "targets/sbsa-linux/include", "targets/sbsa-linux/lib",
    ]  # fmt: skip


def test_a_folder_that_a_toolkit_lacks_has_no_link() -> None:
    assert [link.path for link in toolkit_links(["include/cuda.h"], "cuda")] == [
        "targets/x86_64-linux/include"
    ]


def test_nvvm_is_found_where_numba_looks_for_it() -> None:
    links = {link.path: link.target for link in toolkit_links(["lib64/libnvvm.so.4"], "cuda")}
    assert links["nvvm/lib64/libnvvm.so"] == "../../lib64/libnvvm.so.4"


def test_cudnn_has_no_folders_of_cuda() -> None:
    assert [link.path for link in toolkit_links(["lib/libcudnn.so.9"], "cudnn")] == ["lib/libcudnn.so"]


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    begin_staging(fake.prefix)
    return fake


def _lay_out(fake: FakePrefix, *wheels: Wheel) -> ToolkitTree:
    fake.define(0, toolkit_cell(wheels, "12.4.1"))
    wanted = wanted_tree(fake, 0, "cuda12.4")
    assert isinstance(wanted.target, Toolkit)
    bench = make_workbench(fake.prefix, FakeUv(fake), 1, links=True)
    return lay_out_toolkit(bench, wanted, wanted.target)


def _refusal(fake: FakePrefix, *wheels: Wheel) -> str:
    with pytest.raises(WheelContentError) as caught:
        _lay_out(fake, *wheels)
    return str(caught.value)


def _cublas(fake: FakePrefix, **files: bytes) -> Wheel:
    content = {
        "nvidia/cublas/lib/libcublas.so.12": b"ELF of cuBLAS",
        "nvidia/cublas/include/cublas.h": b"//\n",
    }
    return fake.wheel("nvidia-cublas-cu12", "12.4.5", files={**content, **files})


def test_a_toolkit_is_links_to_the_files_of_its_wheels(fake: FakePrefix) -> None:
    cublas = _cublas(fake)
    tree = _lay_out(fake, cublas)
    library = tree.directory / "lib64/libcublas.so.12"
    assert library.samefile(fake.archive(cublas) / "nvidia/cublas/lib/libcublas.so.12")
    assert (tree.directory / "lib/libcublas.so").samefile(library)
    assert [file.path for file in tree.files] == ["include/cublas.h", "lib64/libcublas.so.12"]
    assert {link.path for link in tree.links} == {
        "lib", "lib64/libcublas.so", "targets/x86_64-linux/include", "targets/x86_64-linux/lib",
    }  # fmt: skip
    for file in tree.files:
        assert stat.S_IMODE((tree.directory / file.path).stat().st_mode) == file.mode


def test_what_two_wheels_bring_alike_is_in_a_toolkit_once(fake: FakePrefix) -> None:
    cublas = _cublas(fake)
    other = fake.wheel("nvidia-other-cu12", files={"nvidia/other/include/cublas.h": b"//\n"})
    assert [file.path for file in _lay_out(fake, cublas, other).files].count("include/cublas.h") == 1


def test_two_contents_of_one_path_are_refused_with_both_wheels(fake: FakePrefix) -> None:
    other = fake.wheel("nvidia-other-cu12", files={"nvidia/other/include/cublas.h": b"// other\n"})
    assert _refusal(fake, _cublas(fake), other) == (
        "g00000/cuda12.4: nvidia-cublas-cu12 and nvidia-other-cu12 both bring include/cublas.h, "
        "with different contents"
    )


@pytest.mark.parametrize("path", ["nvidia/other/include/cublas.h/x", "nvidia/other/include/cublas.h/x/y"])
def test_a_file_in_place_of_a_folder_is_refused(fake: FakePrefix, path: str) -> None:
    refusal = _refusal(fake, _cublas(fake), fake.wheel("nvidia-other-cu12", files={path: b""}))
    assert refusal.startswith("g00000/cuda12.4: nvidia-other-cu12 brings include/cublas.h/x")


def test_a_link_gives_way_to_a_file_of_a_wheel(fake: FakePrefix) -> None:
    tree = _lay_out(fake, _cublas(fake, **{"nvidia/cublas/targets/x86_64-linux": b"a file"}))
    assert (tree.directory / "targets/x86_64-linux").read_bytes() == b"a file"
    assert {link.path for link in tree.links} == {"lib", "lib64/libcublas.so"}


def test_a_damaged_archive_is_refused_with_the_wheel(fake: FakePrefix) -> None:
    cublas = _cublas(fake)
    library = fake.archive(cublas) / "nvidia/cublas/lib/libcublas.so.12"
    library.unlink()
    library.write_bytes(b"ELF of nothing")
    refusal = _refusal(fake, cublas)
    assert "lib64/libcublas.so.12 is not what nvidia-cublas-cu12 12.4.5 holds; install again" in refusal


def test_a_wheel_that_is_not_in_the_cache_is_named(fake: FakePrefix) -> None:
    cublas = fake.wheel("nvidia-cublas-cu12", cached=False)
    assert _refusal(fake, cublas).startswith(f"{cublas.filename}: ")


def test_wheels_that_hold_no_toolkit_are_refused(fake: FakePrefix) -> None:
    assert _refusal(fake, fake.wheel("alpha")).startswith("g00000/cuda12.4: its wheels hold no toolkit")
