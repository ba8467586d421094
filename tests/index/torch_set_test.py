import subprocess
import sys
from pathlib import Path

from tests.index.client import uv_binary, uv_environment
from tests.index.server import LocalIndex
from tests.index.torch_set import BENCH, RELEASES, SMALL, publish_torch_set, torch_wheel

pytest_plugins = ["tests.index.fixture"]


def resolved(index: LocalIndex, folder: Path, requirements: list[str], *options: str) -> dict[str, str]:
    source = folder / "requirements.in"
    source.write_text("\n".join(requirements))
    command = [
        uv_binary(),
        "pip",
        "compile",
        "--python",
        sys.executable,
        "--python-version",
        "3.11",
        "--no-annotate",
    ]
    command += ["--python-platform", "x86_64-manylinux_2_28", "--no-header", *options, str(source)]
    result = subprocess.run(
        command, env=uv_environment(index, folder), capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return dict(line.split("==") for line in result.stdout.splitlines())


def test_torch_of_the_default_index_brings_the_cuda_that_it_was_built_for(
    local_index: LocalIndex, tmp_path: Path
) -> None:
    publish_torch_set(local_index, releases=["2.4.1", "2.5.1"], pythons=["3.11"])
    packages = resolved(local_index, tmp_path, ["torch==2.4.1", "torchvision==0.19.1", "torchaudio==2.4.1"])
    assert packages["nvidia-cuda-runtime-cu12"] == "12.1.105"
    assert packages["nvidia-cudnn-cu12"] == "9.1.0.70"
    assert packages["triton"] == "3.0.0"
    assert packages["numpy"] == "1.26.4"
    assert resolved(local_index, tmp_path, ["torch"])["nvidia-cuda-runtime-cu12"] == "12.4.127"


def test_builds_of_pytorch_indexes_bring_their_own_cuda_or_none(
    local_index: LocalIndex, tmp_path: Path
) -> None:
    publish_torch_set(local_index, releases=["2.4.1"], pythons=["3.11"], builds=["cu118", "cpu"])
    for build, cuda in (("cu118", "11.8.89"), ("cpu", None)):
        extra = ["--index", f"{local_index.origin}/whl/{build}/"]
        packages = resolved(local_index, tmp_path, ["torch==2.4.1", "torchvision==0.19.1"], *extra)
        assert (packages["torch"], packages["torchvision"]) == (f"2.4.1+{build}", f"0.19.1+{build}")
        assert packages.get("nvidia-cuda-runtime-cu11") == cuda
        assert ("triton" in packages) is (cuda is not None)


def test_toolkits_and_cudnn_resolve_beside_torch(local_index: LocalIndex, tmp_path: Path) -> None:
    publish_torch_set(local_index, releases=["2.4.1"], pythons=["3.11"], toolkits=["13.0.2"])
    packages = resolved(local_index, tmp_path, ["cuda-toolkit[all]==13.0.2"])
    assert packages["nvidia-cuda-nvcc"] == "13.0.88"
    assert resolved(local_index, tmp_path, ["nvidia-cudnn-cu13==9.1.0.70"])


def test_wheels_share_identical_files_across_pythons_and_releases() -> None:
    old = torch_wheel(RELEASES["2.3.1"], "cp311", toolkit="12.1.1")
    new = torch_wheel(RELEASES["2.4.1"], "cp311", toolkit="12.1.1")
    other = torch_wheel(RELEASES["2.4.1"], "cp312", toolkit="12.1.1")
    linalg, cuda, python = (
        f"torch/lib/lib{name}.so" for name in ("torch_cuda_linalg", "torch_cuda", "torch_python")
    )
    assert old.files[linalg] == new.files[linalg]
    assert old.files[cuda] != new.files[cuda]
    assert new.files[cuda] == other.files[cuda]
    assert new.files[python] != other.files[python]
    sources = [path for path in new.files if path.startswith("torch/part_")]
    same = sum(old.files[path] == new.files[path] for path in sources)
    assert len(sources) // 2 < same < len(sources)


def test_the_bench_scale_has_thousands_of_files_and_the_small_one_few() -> None:
    assert BENCH.python_files + BENCH.header_files > 3000
    assert len(torch_wheel(RELEASES["2.4.1"], "cp311", toolkit="12.1.1", scale=SMALL).files) < 50
