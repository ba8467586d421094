"""The list that the runtime reads."""

import os
from pathlib import Path

import pytest

from daemon.prefix.environments_file import (
    ListedTarget,
    environments_text,
    has_readable_list,
    listed_targets,
    read_targets,
    replace_environments,
    write_environments,
)
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.synthetic.catalog import PYTHON, PYTHON_FULL


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.define(0)
    return fake


def test_the_list_says_what_is_there_and_what_is_missing(fake: FakePrefix) -> None:
    fake.publish(0, fake.environment)
    assert environments_text(fake.prefix, fake.generation(0), sealed=False) == (
        "monobase-environments 1\n"
        "generation g00000 partial\n"
        f"python {PYTHON} {PYTHON_FULL}\n"
        "cudnn cudnn9-cuda12 missing 9 9.1.0.70 12\n"
        f"environment python{PYTHON} ready {PYTHON} {PYTHON_FULL} - - -\n"
    )
    assert read_targets(fake.prefix, "g00000") == [
        ListedTarget("cudnn", "cudnn9-cuda12", False),
        ListedTarget("environment", f"python{PYTHON}", True),
    ]


def test_a_list_is_written_only_when_it_says_something_else(fake: FakePrefix) -> None:
    write_environments(fake.prefix, fake.generation(0), sealed=False)
    path = fake.prefix.environments_file("g00000")
    inode = path.stat().st_ino
    write_environments(fake.prefix, fake.generation(0), sealed=False)
    assert path.stat().st_ino == inode
    write_environments(fake.prefix, fake.generation(0), sealed=True)
    assert "generation g00000 sealed" in path.read_text()


@pytest.mark.parametrize("obstacle", ["folder", "link", "pipe"])
def test_a_list_replaces_whatever_has_its_name(fake: FakePrefix, obstacle: str) -> None:
    path = fake.prefix.environments_file("g00000")
    path.parent.mkdir()
    if obstacle == "folder":
        (path / "deep").mkdir(parents=True)
    elif obstacle == "link":
        path.symlink_to("nowhere")
    else:
        os.mkfifo(path)
    assert not has_readable_list(fake.prefix, "g00000")
    assert read_targets(fake.prefix, "g00000") == []
    replace_environments(fake.prefix, fake.generation(0), sealed=False)
    assert has_readable_list(fake.prefix, "g00000")
    assert path.is_file()


def test_no_list_yet_is_readable_and_a_foreign_file_is_not(fake: FakePrefix) -> None:
    assert has_readable_list(fake.prefix, "g00000")
    path = fake.prefix.environments_file("g00000")
    path.parent.mkdir()
    path.write_bytes(b"something else\nenvironment python3.11\n\xff\n")
    assert not has_readable_list(fake.prefix, "g00000")
    assert listed_targets(fake.prefix, "g00000") == ["python3.11"]
    assert read_targets(fake.prefix, "g00000") == []
