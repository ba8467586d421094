import tarfile
from pathlib import Path

import pytest

from image.errors import ImageError
from image.model.code_layer import refuse_taken, write_code_layer


def members(path: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(path) as archive:
        return {member.name: member for member in archive}


def sources(folder: Path, **contents: bytes) -> dict[str, Path]:
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {f"{name}.py": folder / name for name in contents}


def test_files_lie_below_the_folder_and_belong_to_root(tmp_path: Path) -> None:
    files = sources(tmp_path / "a", server=b"print()\n")
    write_code_layer(tmp_path / "layer", "/opt/model", files | {"one/two.py": files["server.py"]})
    found = members(tmp_path / "layer")
    assert {name: member.isdir() for name, member in found.items()} == {
        "opt": True,
        "opt/model": True,
        "opt/model/one": True,
        "opt/model/one/two.py": False,
        "opt/model/server.py": False,
    }
    assert {(member.uid, member.gid, member.mtime) for member in found.values()} == {(0, 0, 0)}


def test_what_begins_as_a_program_is_executable_whatever_its_mode(tmp_path: Path) -> None:
    files = sources(tmp_path / "a", script=b"#!/bin/sh\n", program=b"\x7fELF\x02", text=b"x = 1\n")
    for path in files.values():
        path.chmod(0o640)
    write_code_layer(tmp_path / "layer", "/opt/model", files)
    modes = {name: member.mode for name, member in members(tmp_path / "layer").items() if member.isfile()}
    assert modes == {
        "opt/model/script.py": 0o755,
        "opt/model/program.py": 0o755,
        "opt/model/text.py": 0o644,
    }


def test_the_same_files_in_another_place_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_code_layer(tmp_path / f"{name}.layer", "/opt/model", sources(tmp_path / name, x=b"1", y=b"2"))
    assert (tmp_path / "a.layer").read_bytes() == (tmp_path / "b.layer").read_bytes()


def test_a_model_without_files_has_its_working_directory(tmp_path: Path) -> None:
    write_code_layer(tmp_path / "layer", "/opt/model", {})
    assert set(members(tmp_path / "layer")) == {"opt", "opt/model"}


def test_the_home_of_the_user_stays_the_user_s(tmp_path: Path) -> None:
    write_code_layer(tmp_path / "layer", "/home/model/app", sources(tmp_path / "a", x=b"1"))
    found = members(tmp_path / "layer")
    assert [(found[name].uid, found[name].gid) for name in ("home", "home/model")] == [(0, 0), (1000, 1000)]


@pytest.mark.parametrize("folder", ["opt", "/", "//", "/opt/../etc", ""])
def test_what_is_not_a_folder_is_refused(folder: str) -> None:
    with pytest.raises(ImageError, match="is not a folder in an image"):
        refuse_taken(folder)


@pytest.mark.parametrize(
    "folder",
    ["/tmp/model", "//tmp/model", "/opt/monobase", "/srv/r8/monobase/x", "/root", "/run/x"],  # noqa: S108
)
def test_a_folder_of_the_system_or_of_monobase_is_refused(folder: str) -> None:
    with pytest.raises(ImageError, match="is not a place for files of an image"):
        refuse_taken(folder)


@pytest.mark.parametrize("name", ["../x.py", "/x.py"])
def test_a_file_outside_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImageError, match="lies outside of the model's folder"):
        write_code_layer(tmp_path / "layer", "/opt/model", {name: Path(__file__)})


def test_a_file_in_such_a_folder_is_refused_as_well(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="/opt/monobase/exec: /opt/monobase is not a place"):
        write_code_layer(tmp_path / "layer", "/opt", {"monobase/exec": Path(__file__)})


@pytest.mark.parametrize("name", [".wh.x.py", "a/.wh..wh..opq", ".wh.a/x.py"])
def test_a_file_that_would_remove_others_of_the_image_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImageError, match="removes a file of the layers below; rename it"):
        write_code_layer(tmp_path / "layer", "/opt/model", {name: Path(__file__)})


def test_a_file_that_is_a_folder_too_is_refused(tmp_path: Path) -> None:
    files = {"a": Path(__file__), "a/b": Path(__file__)}
    with pytest.raises(ImageError, match="/opt/model/a: is both a file and a folder"):
        write_code_layer(tmp_path / "layer", "/opt/model", files)
