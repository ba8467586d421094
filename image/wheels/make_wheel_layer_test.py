import hashlib
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from image.oci.layer import parse_layer
from image.wheels.make_wheel_layer import main
from tests.index import wheel
from tests.index.wheel import Damage, WheelSpec

SOUND = Damage()
LIBRARY = "usr/local/lib/python3.13/dist-packages"


def write_wheel(
    folder: Path, name: str, files: Mapping[str, str], script: str | None = None, damage: Damage = SOUND
) -> Path:
    contents = {path: text.encode() for path, text in files.items()}
    scripts = {} if script is None else {script: f"{name}:main"}
    return wheel.write_wheel(
        WheelSpec(name, "1.0", files=contents, console_scripts=scripts, damage=damage), folder
    ).path


def run(folder: Path, *wheels: Path) -> Result:
    python = [word for package in os.environ["IMAGE_PYTHON"].split() for word in ("--python", package)]
    arguments = ["--blob", str(folder / "blob"), "--facts", str(folder / "facts"), *python, *map(str, wheels)]
    return CliRunner().invoke(main, arguments)


def members(folder: Path) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(folder / "blob", mode="r:gz") as archive:
        return {
            member.name: (member, file.read() if (file := archive.extractfile(member)) else b"")
            for member in archive
        }


def test_modules_stand_where_debian_s_python_looks_for_what_an_administrator_installs(tmp_path: Path) -> None:
    assert run(tmp_path, write_wheel(tmp_path, "one", {"one/__init__.py": "x = 1\n"})).exit_code == 0
    found = members(tmp_path)
    assert found[f"{LIBRARY}/one/__init__.py"][1] == b"x = 1\n"
    assert found[f"{LIBRARY}/one-1.0.dist-info/INSTALLER"][1] == b"monobase\n"


def test_modules_are_compiled_for_the_image_s_python_by_the_path_that_they_have_there(tmp_path: Path) -> None:
    run(tmp_path, write_wheel(tmp_path, "one", {"one/__init__.py": "def f(): ...\n"}))
    content = members(tmp_path)[f"{LIBRARY}/one/__pycache__/__init__.cpython-313.pyc"][1]
    assert f"/{LIBRARY}/one/__init__.py".encode() in content


def test_scripts_run_the_image_s_python(tmp_path: Path) -> None:
    run(tmp_path, write_wheel(tmp_path, "one", {"one.py": "def main(): ...\n"}, script="one"))
    member, content = members(tmp_path)["usr/local/bin/one"]
    assert content.startswith(b"#!/usr/bin/python3.13\n")
    assert member.mode == 0o755


def test_members_are_root_s_without_a_time_and_after_their_folders(tmp_path: Path) -> None:
    run(tmp_path, write_wheel(tmp_path, "one", {"one/__init__.py": ""}, script="one"))
    seen = {""}
    for member, _ in members(tmp_path).values():
        assert (member.uid, member.gid, member.uname, member.gname, member.mtime) == (0, 0, "", "", 0)
        assert member.mode == (0o755 if member.isdir() or member.name == "usr/local/bin/one" else 0o644)
        assert member.name.rpartition("/")[0] in seen
        seen.add(member.name)


def test_the_order_of_the_wheels_the_folder_and_the_umask_change_no_byte(tmp_path: Path) -> None:
    blobs = []
    for number, umask in enumerate((0o022, 0o077)):
        folder = tmp_path / ("x" * 50 * number + "wheels")
        folder.mkdir()
        wheels = [
            write_wheel(folder, name, {f"{name}.py": "x = 1\n"}, script=name) for name in ("one", "two")
        ]
        before = os.umask(umask)
        try:
            assert run(folder, *(wheels if number else reversed(wheels))).exit_code == 0
        finally:
            os.umask(before)
        blobs.append((folder / "blob").read_bytes())
    assert blobs[0] == blobs[1]


def test_the_facts_are_those_of_the_blob(tmp_path: Path) -> None:
    run(tmp_path, write_wheel(tmp_path, "one", {"one.py": ""}))
    layer = parse_layer((tmp_path / "facts").read_text(), tmp_path / "facts")
    assert layer.blob.digest == f"sha256:{hashlib.sha256((tmp_path / 'blob').read_bytes()).hexdigest()}"
    assert layer.created_by == "1 wheels of tools/python/requirements.txt"


def test_two_wheels_with_one_file_are_refused_with_its_name(tmp_path: Path) -> None:
    wheels = [write_wheel(tmp_path, name, {"same.py": ""}) for name in ("one", "two")]
    done = run(tmp_path, *wheels)
    assert done.exit_code == 3
    assert done.stderr.startswith(f"error: {wheels[1]}: cannot be installed as a wheel beside 1 others: ")
    assert "same.py" in done.stderr


@pytest.mark.parametrize("damage", ["no archive", "truncated", "no RECORD"])
def test_a_file_that_is_no_wheel_is_refused_with_one_message(tmp_path: Path, damage: str) -> None:
    path = write_wheel(tmp_path, "one", {"one.py": "x = 1\n"})
    if damage == "no archive":
        path.write_bytes(b"not a wheel")
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:100])
    else:
        write_wheel(tmp_path, "one", {"one.py": "x = 1\n"}, damage=Damage(without_record=True))
    done = run(tmp_path, path)
    assert done.exit_code == 3
    assert done.stderr.startswith(f"error: {path}: cannot be installed as a wheel")
    assert done.stderr.count("\n") == 1
