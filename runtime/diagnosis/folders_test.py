"""Folders that a model writes to."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from runtime.diagnosis.finding import Finding
from runtime.diagnosis.folders import check_folders

GIB = 1 << 30


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Replace what the file system says by a roomy one that a test may change."""
    status = SimpleNamespace(
        f_flag=0, f_bavail=50 * GIB, f_blocks=64 * GIB, f_frsize=1, f_files=10**6, f_favail=10**5
    )
    monkeypatch.setattr(os, "statvfs", lambda _path: status)
    return status


def look(tmp_path: Path, **variables: str) -> dict[str, Finding]:
    asked = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path)} | variables
    return {finding.subject: finding for finding in check_folders(asked, tmp_path)}


def test_folders_that_can_be_written_to_are_right(tmp_path: Path) -> None:
    found = look(tmp_path, TRITON_CACHE_DIR=f"{tmp_path}/not/there/yet")

    assert {finding.state for finding in found.values()} == {"ok"}
    assert found["home"].found == f"{tmp_path}, 50.0 GiB free"
    assert found["cache of Triton"].found == f"{tmp_path}/not/there/yet, 50.0 GiB free"
    assert found["cache of CUDA"].found.startswith(f"{tmp_path}/.nv/ComputeCache")


def test_a_cache_is_where_the_variables_say(tmp_path: Path) -> None:
    found = look(tmp_path, XDG_CACHE_HOME=f"{tmp_path}/x", HF_HOME=f"{tmp_path}/weights")

    assert found["caches"].found.startswith(f"{tmp_path}/x,")
    assert found["cache of Torch"].found.startswith(f"{tmp_path}/x/torch_extensions,")
    assert found["cache of HF"].found.startswith(f"{tmp_path}/weights,")


def test_without_a_home_there_is_one_warning(tmp_path: Path) -> None:
    found = look(tmp_path, HOME="")

    assert found["home"].state == "warning"
    assert "emptyDir" in found["home"].advice[0]
    assert "cache of CUDA" not in found


@pytest.mark.parametrize(
    ("change", "subject", "text"),
    [
        ({"f_flag": os.ST_RDONLY}, "home", "is mounted read-only"),
        ({"f_flag": os.ST_NOEXEC}, "cache of Triton", "is mounted noexec"),
        ({"f_bavail": 1000}, "temporary files", "1000 B free"),
        ({"f_favail": 3}, "home", "3 inodes"),
        ({"f_blocks": 64 << 20}, "shared memory", "has 64.0 MiB: data loaders"),
    ],
)
def test_what_is_wrong_with_a_folder_is_a_warning_with_advice(
    tmp_path: Path, room: SimpleNamespace, change: dict[str, int], subject: str, text: str
) -> None:
    room.__dict__.update(change)

    finding = look(tmp_path)[subject]

    assert finding.state == "warning"
    assert text in finding.found
    assert finding.advice


def test_a_home_that_is_noexec_is_right(tmp_path: Path, room: SimpleNamespace) -> None:
    room.f_flag = os.ST_NOEXEC

    assert look(tmp_path)["home"].state == "ok"


def test_a_file_in_the_place_of_a_folder_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    finding = look(tmp_path, HOME=f"{tmp_path}/file/home")["home"]

    assert "cannot be written to by uid" in finding.found
