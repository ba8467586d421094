from pathlib import Path

import pytest
from click.testing import CliRunner

from image.errors import ImageError
from image.stubs.list_symbols import main
from image.stubs.symbols import Symbols, format_symbols, parse_symbols, read_headers

HERE = Path(__file__).parent
CUDA = """
#define CUDAAPI
#define cuMemAlloc                          cuMemAlloc_v2
#define cuMemcpyHtoD                        __CUDA_API_PTDS(cuMemcpyHtoD_v2)
    #define cuMemcpyAsync                   __CUDA_API_PTSZ(cuMemcpyAsync)
#define cuSomething(x) (x)
/** \\brief CUresult CUDAAPI cuInADescription(int); */
// CUresult CUDAAPI cuInARemark(int);
CUresult CUDAAPI cuInit(unsigned int Flags);
__CUDA_DEPRECATED CUresult CUDAAPI cuCtxAttach(CUcontext *pctx, unsigned int flags);
CUresult CUDAAPI
cuModuleLoadData(CUmodule *module, const void *image);
CUresult CUDAAPI cuMemAlloc(CUdeviceptr *dptr, size_t bytesize);
typedef CUresult (CUDAAPI *PFN_cuTyped_v2000)(unsigned int Flags);
"""
NVML = """
    #define nvmlInit                                    nvmlInit_v2
#define nvmlOld_t nvmlNew_t
nvmlReturn_t DECLDIR nvmlInit_v2(void);
nvmlReturn_t  DECLDIR nvmlSet(nvmlDevice_t device,
                              int value);
const DECLDIR char* nvmlErrorString(nvmlReturn_t result);
"""


def test_names_are_those_that_a_linker_sees() -> None:
    found = read_headers([CUDA, NVML])
    assert sorted(found.functions) == [
        "cuCtxAttach", "cuInit", "cuMemAlloc", "cuMemAlloc_v2", "cuMemcpyAsync", "cuMemcpyAsync_ptsz",
        "cuMemcpyHtoD_v2", "cuMemcpyHtoD_v2_ptds", "cuModuleLoadData", "nvmlInit_v2", "nvmlSet",
    ]  # fmt: skip
    assert found.texts == {"nvmlErrorString"}


def test_a_list_is_read_as_it_was_written() -> None:
    symbols = Symbols(frozenset({"b", "a_v2"}), frozenset({"t"}))
    assert format_symbols(symbols) == "a_v2\nb\nt text\n"
    assert parse_symbols(format_symbols(symbols), Path("list.txt")) == symbols


def test_a_line_that_is_no_name_is_refused_with_its_place() -> None:
    with pytest.raises(ImageError, match=r"list\.txt:2: is not a function's name: 'int b'"):
        parse_symbols("a\nint b\n", Path("list.txt"))


def test_the_command_prints_a_list(tmp_path: Path) -> None:
    (tmp_path / "cuda.h").write_text(CUDA)
    done = CliRunner().invoke(main, [str(tmp_path / "cuda.h")])
    assert done.output.splitlines()[:2] == ["cuCtxAttach", "cuInit"]
    (tmp_path / "other.h").write_text("int main(void);")
    assert CliRunner().invoke(main, [str(tmp_path / "other.h")]).exit_code != 0


@pytest.mark.parametrize(
    ("name", "known", "count"),
    [
        ("libcuda", {"cuInit", "cuMemAlloc", "cuMemAlloc_v2", "cuLaunchKernel_ptsz", "cuProfilerStart"}, 700),
        ("libnvidia-ml", {"nvmlInit", "nvmlInit_v2", "nvmlDeviceGetHandleByIndex_v2"}, 400),
    ],
)
def test_the_lists_are_sorted_and_name_what_programs_call(name: str, known: set[str], count: int) -> None:
    path = HERE / f"{name}.txt"
    symbols = parse_symbols(path.read_text(), path)
    assert format_symbols(symbols) == path.read_text()
    assert known <= symbols.functions
    assert len(symbols.functions) > count
