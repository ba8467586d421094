import os
import tarfile
from pathlib import Path

from click.testing import CliRunner, Result

from image.bytecode.make_bytecode import main

# PEP 552: bytecode that names its source by a hash, which nobody checks.
UNCHECKED = b"\x01\x00\x00\x00"
ONE = "opt/of/one/__pycache__/a.cpython-313.pyc"


def run(folder: Path, text: str) -> Result:
    folder.mkdir()
    (folder / "source.py").write_text(text)
    python = [word for package in os.environ["IMAGE_PYTHON"].split() for word in ("--python", package)]
    sources = [
        word for name in ("one/a.py", "b.py") for word in ("--source", name, str(folder / "source.py"))
    ]
    return CliRunner().invoke(main, ["--tar", str(folder / "tar"), "--folder", "/opt/of", *python, *sources])


def test_bytecode_stands_beside_its_source_and_names_the_place_in_the_image(tmp_path: Path) -> None:
    done = run(tmp_path / "made", "def f(): ...\n")
    assert done.exit_code == 0, done.output
    with tarfile.open(tmp_path / "made" / "tar") as archive:
        files = {member.name: member for member in archive if member.isfile()}
        assert set(files) == {ONE, "opt/of/__pycache__/b.cpython-313.pyc"}
        content = archive.extractfile(files[ONE])
        assert content is not None
        found = content.read()
    assert found[4:8] == UNCHECKED
    assert b"/opt/of/one/a.py" in found
    assert str(tmp_path).encode() not in found


def test_another_folder_makes_the_same_bytes(tmp_path: Path) -> None:
    text = "def f(x):\n    return x in {'one', 'two', 'three', 'four'}\n"
    folders = [tmp_path / name for name in ("a", "another" * 20)]
    assert [run(folder, text).exit_code for folder in folders] == [0, 0]
    assert (folders[0] / "tar").read_bytes() == (folders[1] / "tar").read_bytes()


def test_a_source_that_is_no_python_is_refused(tmp_path: Path) -> None:
    assert run(tmp_path / "made", "def f(:\n").exit_code == 3
    assert not (tmp_path / "made" / "tar").exists()
