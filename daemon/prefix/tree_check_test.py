"""Each way in which a tree can differ from its manifest is found, and told by its kind."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.prefix.finding import Finding
from daemon.prefix.tree_check import Digests, trusted_owners, verify_interpreter, verify_tree
from tests.fake_prefix.fake_prefix import INTERPRETER, SITE_PACKAGES, FakePrefix

_FILE = f"{SITE_PACKAGES}/alpha/data"


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.install(0)
    return fake


def _alone(path: Path, content: bytes = b"data\n") -> Path:
    path.unlink()
    path.write_bytes(content)
    return path


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("data2")


_HARMS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "other bytes": (lambda path: _alone(path, b"DATA\n"), "changed", "not sha256:"),
    "cut": (lambda path: _alone(path, b""), "changed", "0 bytes, not 5"),
    "mode": (lambda path: _alone(path).chmod(0o666), "changed", "mode 666, not 644"),
    "missing": (lambda path: path.unlink(), "missing", ""),
    "a link": (_link, "changed", "is a symbolic link, not a file"),
    "a folder": (_folder, "changed", "is a folder"),
    "a pipe": (_pipe, "changed", "is a pipe, not a file"),
}


def _findings(fake: FakePrefix) -> list[Finding]:
    found: list[Finding] = []
    verify_tree(fake.prefix, fake.tree(0), Digests(2), found)
    return found


@pytest.mark.parametrize("harm", _HARMS)
def test_a_file_that_is_not_as_it_was_is_found(fake: FakePrefix, harm: str) -> None:
    act, kind, detail = _HARMS[harm]
    act(fake.tree(0) / _FILE)
    (finding,) = _findings(fake)
    assert (finding.path, finding.kind) == (_FILE, kind)
    assert detail in finding.detail


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file away")
def test_a_file_and_a_folder_of_another_user_are_found(fake: FakePrefix) -> None:
    path = _alone(fake.tree(0) / _FILE)
    path.chmod(0o644)
    os.chown(path, 12345, -1)
    os.chown(path.parent, 12345, -1)
    assert {(item.path, item.kind) for item in _findings(fake)} == {
        (_FILE, "changed"),
        (_FILE.rpartition("/")[0], "changed"),
    }
    assert 12345 not in trusted_owners(fake.prefix)


def test_what_no_manifest_names_is_extra(fake: FakePrefix) -> None:
    (fake.tree(0) / "stray").touch()
    os.mkfifo(fake.tree(0) / "pipe")
    (fake.tree(0) / "empty").mkdir()
    (fake.tree(0) / "full" / "deep").mkdir(parents=True)
    (fake.tree(0) / "full" / "deep" / "file").touch()
    assert {(item.path, item.kind, item.detail) for item in _findings(fake)} == {
        ("stray", "extra", ""),
        ("pipe", "extra", "a pipe"),
        ("empty", "extra", "an empty folder"),
        ("full", "extra", "a folder with 1 files"),
    }


def test_a_folder_with_another_mode_or_in_place_of_a_link_is_found(fake: FakePrefix) -> None:
    (fake.tree(0) / "lib").chmod(0o777)
    program = fake.tree(0) / "bin" / "python"
    program.unlink()
    program.mkdir()
    assert {(item.path, item.detail) for item in _findings(fake)} == {
        ("lib", "a folder of mode 777, not 755"),
        ("bin/python", "is a folder"),
    }


def test_a_file_in_place_of_a_folder_is_told_with_all_that_is_missing(fake: FakePrefix) -> None:
    (fake.tree(0) / "bin" / "python").unlink()
    (fake.tree(0) / "bin").rmdir()
    (fake.tree(0) / "bin").touch()
    assert [(item.path, item.kind, item.detail) for item in _findings(fake)] == [
        ("bin", "changed", "is a file, not a folder"),
        ("bin/python", "missing", ""),
    ]


def test_a_link_that_leads_elsewhere_or_nowhere_is_found(fake: FakePrefix) -> None:
    library = fake.tree(0, fake.toolkit) / "lib" / "libcudnn.so"
    library.unlink()
    library.symlink_to("elsewhere")
    found: list[Finding] = []
    verify_tree(fake.prefix, fake.tree(0, fake.toolkit), Digests(1), found)
    assert [item.detail for item in found] == ["links to elsewhere, not to libcudnn.so.9"]
    (fake.interpreter / "bin" / f"python{fake.environment.removeprefix('python')}").unlink()
    assert [(item.path, item.kind) for item in _findings(fake)] == [("bin/python", "missing")]


def test_one_finding_tells_of_a_tree_whose_records_cannot_be_read(fake: FakePrefix) -> None:
    for path in fake.prefix.wheels.glob("*.files.gz"):
        path.write_bytes(b"no gzip")
    (finding,) = _findings(fake)
    assert (finding.path, finding.kind) == ("", "unreadable")


def _interpreter(fake: FakePrefix) -> list[Finding]:
    found: list[Finding] = []
    verify_interpreter(fake.prefix, INTERPRETER, Digests(1), found)
    return found


def test_an_interpreter_is_compared_with_its_manifest(fake: FakePrefix) -> None:
    assert _interpreter(fake) == []
    (fake.interpreter / "empty").mkdir()  # which no manifest holds, and which may be there
    assert _interpreter(fake) == []
    _alone(fake.interpreter / "bin" / "python", b"#!/bin/sh\n")
    assert [(item.path, item.kind) for item in _interpreter(fake)] == [("bin/python", "changed")]


def test_an_interpreter_that_is_gone_or_has_no_list_or_a_newer_one_is_told_once(fake: FakePrefix) -> None:
    manifest = fake.prefix.interpreter_manifest(INTERPRETER)
    content = manifest.read_bytes()
    fake.interpreter.rename(fake.directory / "away")
    assert [item.kind for item in _interpreter(fake)] == ["missing"]
    manifest.write_bytes(b"")
    assert "an earlier release" in _interpreter(fake)[0].detail
    manifest.write_bytes(content[:20])
    assert [item.kind for item in _interpreter(fake)] == ["unreadable"]


def test_an_inode_is_read_once_however_many_names_it_has(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"12345")
    os.link(first, second)
    digests = Digests(1)
    told = dict(digests.digest((str(path), path.lstat()) for path in (first, second)))
    assert len(set(told.values())) == 1
    assert digests.read_bytes == 5
    missing = dict(digests.digest([(str(tmp_path / "c"), os.stat_result((0,) * 10))]))
    assert missing == {str(tmp_path / "c"): "(No such file or directory)"}
