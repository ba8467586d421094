"""Reads releases from a local index, and again after it has changed."""

from datetime import date
from pathlib import Path

import pytest

from gens.errors import DefinitionError, ResolutionError
from tests.index.repository import DEFAULT_ROOT
from tests.index.server import LocalIndex
from tests.index.wheel import WheelSpec
from tools.releases.facts import Facts, format_facts, read_facts
from tools.releases.index import Index
from tools.releases.reader import read_releases
from tools.releases.wheel_set import WheelSet

pytest_plugins = ["tests.index.fixture"]
_TODAY = date(2026, 11, 26)
_LINUX = "manylinux_2_28_x86_64"


def _torch(index: LocalIndex, version: str, *requires: str, python: str = "cp312", abi: str = "") -> None:
    spec = WheelSpec("torch", version, python, abi or python, _LINUX, requires_dist=requires)
    index.add(spec, upload_time="2026-10-28T15:16:25Z")


def _companion(
    index: LocalIndex, name: str, version: str, *requires: str, uploaded: str = "2026-10-28T15:21:30Z"
) -> None:
    index.add(WheelSpec(name, version, "py3", "none", _LINUX, requires_dist=requires), upload_time=uploaded)


def _read(index: LocalIndex, known: Facts | None = None) -> tuple[Facts, int]:
    """Read an index, and give how many wheels were read for that."""
    reader = Index(index.url(DEFAULT_ROOT), {})
    return read_releases(reader, known, _TODAY), reader.metadata_read


def test_a_torch_has_its_pythons_and_the_build_of_the_runtime_that_it_pins(
    local_index: LocalIndex,
) -> None:
    _torch(local_index, "2.15.0", "cuda-toolkit[cudart]==13.2.0; platform_system == 'Linux'", "filelock")
    _torch(local_index, "2.15.0", python="cp314", abi="cp314t")
    _torch(local_index, "2.4.1", "nvidia-cuda-runtime-cu12==12.1.105; platform_machine == 'x86_64'")
    _torch(local_index, "2.3.1", "nvidia-cuda-runtime-cu12==12.1.105; platform_machine == 'aarch64'")

    facts, _ = _read(local_index)

    assert facts.torch["2.15.0"].wheels == {"x86_64": WheelSet("2.28", ("3.12",), ("3.14t",))}
    assert facts.torch["2.15.0"].uploaded == "2026-10-28T15:16:25Z"
    assert {version: release.build["x86_64"] for version, release in facts.torch.items()} == {
        "2.3.1": "cpu", "2.4.1": "cu121", "2.15.0": "cu132",
    }  # fmt: skip


def test_a_companion_that_appears_is_found_and_nothing_else_is_read_again(local_index: LocalIndex) -> None:
    for version in ("2.14.0", "2.15.0"):
        _torch(local_index, version)
    _companion(local_index, "torchvision", "0.29.0", "torch==2.14.0")
    before, first = _read(local_index)
    assert before.torchvision["0.29.0"].admits == ("2.14.0",)

    _companion(local_index, "torchvision", "0.29.2", "torch>=2.14.0")
    after, second = _read(local_index, before)

    assert (first, second) == (3, 1)
    assert after.torchvision["0.29.2"].admits == ("2.14.0", "2.15.0")
    assert after.torch == before.torch


def test_a_second_read_of_the_same_changes_nothing_and_reads_no_wheel(local_index: LocalIndex) -> None:
    _torch(local_index, "2.15.0")
    _companion(local_index, "torchvision", "0.29.2", "torch>=2.14.0")
    known, _ = _read(local_index)

    again = read_releases(reader := Index(local_index.url(DEFAULT_ROOT), {}), known, date(2027, 1, 1))

    assert (format_facts(again), reader.metadata_read) == (format_facts(known), 0)


def test_a_torch_that_appears_is_admitted_by_the_companions_that_there_were(local_index: LocalIndex) -> None:
    _torch(local_index, "2.14.0")
    _companion(local_index, "torchvision", "0.29.1", "torch>=2.14.0")
    known, _ = _read(local_index)

    _torch(local_index, "2.15.0")
    facts, read = _read(local_index, known)

    assert (facts.torchvision["0.29.1"].admits, read) == (("2.14.0", "2.15.0"), 1)


def test_a_companion_that_names_no_torch_is_admitted_by_its_symbols(local_index: LocalIndex) -> None:
    _torch(local_index, "2.11.0")
    _companion(local_index, "torchaudio", "2.11.0", "numpy")

    facts, _ = _read(local_index)

    release = facts.torchaudio["2.11.0"]
    assert (release.torch, release.admits, release.examined) == (None, ("2.11.0",), ("2.11.0",))


def test_pre_releases_and_withdrawn_files_do_not_exist(local_index: LocalIndex) -> None:
    _torch(local_index, "2.15.0")
    _torch(local_index, "2.16.0rc1")
    local_index.add(WheelSpec("torch", "2.14.9", "cp312", "cp312", _LINUX), yanked="broken")

    assert list(_read(local_index)[0].torch) == ["2.15.0"]


def test_cuda_is_named_as_people_write_it_and_cudnn_by_its_cuda(
    local_index: LocalIndex,
) -> None:
    _torch(local_index, "2.15.0")
    for version in ("13.0.3.0", "12.4.1"):
        local_index.add(WheelSpec("cuda-toolkit", version))
    for major in ("12", "13"):
        local_index.add(
            WheelSpec(f"nvidia-cudnn-cu{major}", "9.26.0.51", platform_tag="manylinux_2_27_x86_64")
        )
    local_index.add(WheelSpec("nvidia-cudnn-cu12", "9.1.0.70.post1", platform_tag="win_amd64"))

    facts, _ = _read(local_index)

    assert facts.cuda == ["12.4.1", "13.0.3"]
    assert facts.cudnn == {"9.26.0.51": {"12": ["x86_64"], "13": ["x86_64"]}}


def test_an_index_that_does_not_answer_is_named_without_its_password(
    local_index: LocalIndex,
) -> None:
    url = local_index.url(DEFAULT_ROOT).replace("http://", "http://user:secret@")
    local_index.stop()

    with pytest.raises(ResolutionError) as caught:
        read_releases(Index(url, {}), None, _TODAY)

    assert "secret" not in str(caught.value)
    assert "name another index with --index-url" in str(caught.value)


def test_what_was_written_is_read_back(local_index: LocalIndex, tmp_path: Path) -> None:
    _torch(local_index, "2.15.0")
    facts, _ = _read(local_index)
    path = tmp_path / "releases.json"
    path.write_text(format_facts(facts))

    assert read_facts(path) == facts
    assert read_facts(tmp_path / "none.json") is None


def test_an_index_without_torch_is_refused_instead_of_forgetting_all_releases(
    local_index: LocalIndex,
) -> None:
    _torch(local_index, "2.15.0")
    known, _ = _read(local_index)

    with LocalIndex() as other, pytest.raises(ResolutionError, match="has no wheel of torch"):
        _read(other, known)


def test_a_newer_format_is_reported_as_newer_and_not_as_damaged(tmp_path: Path) -> None:
    path = tmp_path / "releases.json"
    path.write_text('{"format": 9, "of": "another shape"}')

    with pytest.raises(DefinitionError, match="has format 9, and this monobase reads 1"):
        read_facts(path)
