"""Wheel files: the same content is the same bytes, and a wheel for another target is refused."""

import zipfile
from pathlib import Path

import pytest

from tools.layer.errors import BuildError
from tools.layer.source_digest import file_digest
from tools.layer.wheel_file import check_tags, locked_file, normalize

PLATFORM = "x86_64-manylinux_2_34"


def _wheel(path: Path, names: list[str], year: int, mode: int = 0o644) -> Path:
    with zipfile.ZipFile(path, "w") as wheel:
        for name in names:
            info = zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0))
            info.external_attr = mode << 16
            wheel.writestr(info, name)
    return path


def test_the_order_and_the_dates_of_members_do_not_count(tmp_path: Path) -> None:
    names = ["a.py", "b.py", "x-1.dist-info/RECORD", "x-1.dist-info/METADATA"]
    first = _wheel(tmp_path / "a-1-py3-none-any.whl", names, 2001)
    second = _wheel(tmp_path / "b-1-py3-none-any.whl", names[::-1], 2020, mode=0o664)
    normalize(first)
    normalize(second)
    assert file_digest(first) == file_digest(second)
    assert zipfile.ZipFile(first).namelist()[-1] == "x-1.dist-info/RECORD"
    assert zipfile.ZipFile(first).read("a.py") == b"a.py"


def test_executables_stay_executable(tmp_path: Path) -> None:
    wheel = _wheel(tmp_path / "a-1-py3-none-any.whl", ["run"], 2001, mode=0o775)
    normalize(wheel)
    assert zipfile.ZipFile(wheel).getinfo("run").external_attr >> 16 == 0o100755


def test_a_wheel_is_locked_with_its_digest_and_size(tmp_path: Path) -> None:
    path = _wheel(tmp_path / "My_Lib-1.0-py3-none-any.whl", ["a.py"], 2001)
    locked = locked_file(path)
    assert (locked.name, locked.version, locked.filename) == ("my-lib", "1.0", path.name)
    assert (locked.sha256, locked.size_bytes) == (file_digest(path), path.stat().st_size)


@pytest.mark.parametrize(
    "name",
    ["a-1-py3-none-any.whl", "a-1-cp312-cp312-manylinux_2_28_x86_64.whl", "a-1-cp38-abi3-linux_x86_64.whl"],
)
def test_a_wheel_for_the_target_is_taken(name: str) -> None:
    check_tags(Path(name), "3.12.7", PLATFORM, "a")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a-1-cp311-cp311-linux_x86_64.whl", r"does not run on Python 3.12 for x86_64-manylinux_2_34"),
        ("a-1-py3-none-win_amd64.whl", r"does not run on Python 3.12"),
        ("a-1-cp312-cp312-manylinux_2_39_x86_64.whl", r"does not run on Python 3.12"),
        ("a.whl", r"is not named as a wheel"),
    ],
)
def test_a_wheel_for_another_target_is_refused(name: str, message: str) -> None:
    with pytest.raises(BuildError, match=message):
        check_tags(Path(name), "3.12.7", PLATFORM, "./a")
