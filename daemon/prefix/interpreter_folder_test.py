"""Interpreters that are made, published, repaired and found by the environments that run on them."""

import os
from pathlib import Path

import pytest

from daemon.prefix.interpreter_folder import (
    interpreter_names,
    interpreter_names_of,
    interpreter_staging,
    is_of_an_earlier_release,
    list_interpreter,
    program_of,
    publish_interpreter,
)
from daemon.prefix.manifest import read_manifest
from daemon.prefix.prefix import Prefix
from tests.fake_prefix.fake_prefix import INTERPRETER, FakePrefix
from tests.synthetic.catalog import PYTHON_FULL

_NAME = "cpython-3.11.10-linux-x86_64-gnu"


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    prefix = Prefix(tmp_path / "prefix")
    prefix.make_directories()
    return prefix


def _made(staging: Path, content: bytes = b"#!/bin/sh\n") -> Path:
    made = staging / _NAME
    (made / "bin").mkdir(parents=True)
    (made / "bin" / "python3.11").write_bytes(content)
    (made / "bin" / "python3.11").chmod(0o755)
    (made / "bin" / "python").symlink_to("python3.11")
    return made


def _publish(prefix: Prefix, content: bytes = b"#!/bin/sh\n") -> None:
    with interpreter_staging(prefix) as staging:
        made = _made(staging, content)
        publish_interpreter(prefix, made, list_interpreter(made))
    assert not staging.exists()


def test_an_interpreter_is_published_with_the_list_of_its_files(prefix: Prefix) -> None:
    _publish(prefix)
    manifest = read_manifest(prefix.interpreter_manifest(_NAME))
    assert [(file.path, file.mode) for file in manifest.files] == [("bin/python3.11", 0o755)]
    assert [(link.path, link.target) for link in manifest.links] == [("bin/python", "python3.11")]
    assert interpreter_names(prefix.uv_python, "3.11.10") == [_NAME]


@pytest.mark.parametrize("obstacle", ["file", "link"])
def test_what_is_not_a_folder_makes_room(prefix: Prefix, obstacle: str) -> None:
    final = prefix.uv_python / _NAME
    if obstacle == "file":
        final.touch()
    else:
        final.symlink_to("/etc")
    assert interpreter_names(prefix.uv_python, "3.11.10") == []
    _publish(prefix)
    assert (final / "bin" / "python3.11").exists()


def test_one_that_is_used_is_repaired_file_by_file(prefix: Prefix) -> None:
    _publish(prefix)
    tree = prefix.uv_python / _NAME
    kept, inode = (tree / "bin" / "python").lstat().st_ino, tree.stat().st_ino
    (tree / "bin" / "python3.11").write_bytes(b"damaged")
    (tree / "stray").touch()
    _publish(prefix)
    assert (tree / "bin" / "python3.11").read_bytes() == b"#!/bin/sh\n"
    assert not (tree / "stray").exists()
    assert ((tree / "bin" / "python").lstat().st_ino, tree.stat().st_ino) == (kept, inode)


def test_what_an_interrupted_make_left_is_not_there_for_the_next(prefix: Prefix) -> None:
    prefix.uv_python_staging.mkdir()
    (prefix.uv_python_staging / "half").touch()
    with interpreter_staging(prefix) as staging:
        assert list(staging.iterdir()) == []


def test_an_environment_runs_on_the_one_that_its_link_and_its_manifest_name(tmp_path: Path) -> None:
    fake = FakePrefix(tmp_path)
    fake.install(0)
    tree = fake.tree(0)
    assert interpreter_names(fake.prefix.uv_python, PYTHON_FULL) == [INTERPRETER]
    assert interpreter_names_of(fake.prefix, tree) == [INTERPRETER]
    assert program_of(tree).is_relative_to(fake.interpreter)
    (tree / "bin" / "python").unlink()
    assert interpreter_names_of(fake.prefix, tree) == [INTERPRETER]
    (tree / "bin" / "python").symlink_to("../../../../uv/python/cpython-3.9.9-other/bin/python3.9")
    assert interpreter_names_of(fake.prefix, tree) == [INTERPRETER, "cpython-3.9.9-other"]
    (tree / ".manifest").unlink()
    (tree / "bin" / "python").unlink()
    assert interpreter_names_of(fake.prefix, tree) == []
    with pytest.raises(FileNotFoundError):
        program_of(tree)


def test_an_empty_mark_is_of_an_earlier_release(prefix: Prefix) -> None:
    mark = prefix.interpreter_manifest(_NAME)
    assert not is_of_an_earlier_release(mark)
    mark.touch()
    assert is_of_an_earlier_release(mark)
    os.truncate(mark, 5)
    assert not is_of_an_earlier_release(mark)
