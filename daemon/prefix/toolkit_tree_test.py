"""Toolkits that generations share: their names, their links, and who uses them."""

from pathlib import Path

import pytest

from daemon.errors import DamageError
from daemon.prefix.line_file import text_digest
from daemon.prefix.toolkit_tree import (
    is_used,
    is_without_toolkits,
    link_text,
    link_toolkit,
    linked_toolkit,
    sealed_toolkit,
    toolkit_behind,
    toolkit_directory_name,
    toolkit_link,
    toolkit_names,
    toolkit_of_digest,
)
from gens.generation import Toolkit
from gens.lock import Lock
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.synthetic.catalog import environment_cell, toolkit_cell

_NAME = "cudnn-9.1.0.70-cuda12"


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.install(0)
    return fake


def _toolkit(fake: FakePrefix, number: int) -> tuple[Toolkit, Lock]:
    toolkit = fake.generation(number).toolkits[0]
    return toolkit, fake.catalog.lock(fake.generation(number), toolkit)


def test_the_same_wheels_share_a_tree_and_others_of_the_version_get_another_name(fake: FakePrefix) -> None:
    other = fake.wheel("nvidia-cudnn-cu12", "9.1.0.70", files={"nvidia/cudnn/lib/libcudnn.so.9": b"another"})
    fake.define(1, environment_cell([fake.wheel("alpha")]), toolkit_cell([other], "9.1.0.70", "12"))
    assert toolkit_directory_name(fake.prefix, *_toolkit(fake, 0)) == (_NAME, True)
    name, stands = toolkit_directory_name(fake.prefix, *_toolkit(fake, 1))
    assert name.startswith(f"{_NAME}-")
    assert not stands


def test_two_trees_of_wrong_content_are_damage(fake: FakePrefix) -> None:
    other = fake.wheel("nvidia-cudnn-cu12", "9.1.0.70", files={"nvidia/cudnn/lib/libcudnn.so.9": b"another"})
    fake.define(1, environment_cell([fake.wheel("alpha")]), toolkit_cell([other], "9.1.0.70", "12"))
    name, _ = toolkit_directory_name(fake.prefix, *_toolkit(fake, 1))
    wrong = fake.prefix.toolkits / name
    wrong.mkdir()
    (wrong / ".manifest").write_bytes((fake.prefix.toolkits / _NAME / ".manifest").read_bytes())
    with pytest.raises(DamageError, match="has another content than its name says"):
        toolkit_directory_name(fake.prefix, *_toolkit(fake, 1))


def test_toolkits_are_the_folders_with_a_manifest(fake: FakePrefix) -> None:
    (fake.prefix.toolkits / "lost+found").mkdir()
    (fake.prefix.toolkits / "alias").symlink_to(_NAME)
    assert toolkit_names(fake.prefix) == [_NAME]
    assert not is_without_toolkits(fake.prefix)


def test_a_prefix_without_toolkits_is_one_even_before_its_folders_are_made(tmp_path: Path) -> None:
    assert is_without_toolkits(FakePrefix(tmp_path).prefix)


def test_a_toolkit_is_used_while_a_generation_links_to_it(fake: FakePrefix) -> None:
    assert is_used(fake.prefix, _NAME)
    assert not is_used(fake.prefix, "cuda-12.4.1")
    (fake.prefix.generation("g00000") / fake.toolkit).unlink()
    assert not is_used(fake.prefix, _NAME)


@pytest.mark.parametrize("obstacle", ["nothing", "link", "file", "folder"])
def test_the_link_of_a_generation_is_put_right_whatever_is_there(fake: FakePrefix, obstacle: str) -> None:
    link = fake.prefix.generation("g00000") / fake.toolkit
    link.unlink()
    if obstacle == "link":
        link.symlink_to("../../cuda/nowhere")
    elif obstacle == "file":
        link.touch()
    elif obstacle == "folder":
        link.mkdir()
    link_toolkit(link, _NAME)
    assert link_text(link) == toolkit_link(_NAME)
    inode = link.lstat().st_ino
    link_toolkit(link, _NAME)
    assert link.lstat().st_ino == inode


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("../../cuda/cuda-12.4.1", "cuda-12.4.1"),
        ("../../cuda/", None),
        ("cuda-12.4.1", None),
        ("/cuda/x", None),
    ],
)
def test_only_the_link_that_an_install_makes_leads_to_a_toolkit(text: str, name: str | None) -> None:
    assert linked_toolkit(text) == name


def test_what_a_link_ends_with_is_told_wherever_it_leads(fake: FakePrefix) -> None:
    link = fake.prefix.generation("g00000") / fake.toolkit
    assert toolkit_behind(link) == _NAME
    assert toolkit_behind(fake.tree(0)) is None
    assert link_text(fake.directory / "nowhere") is None


def test_a_sealed_generation_tells_which_toolkit_it_was_sealed_with(fake: FakePrefix) -> None:
    link = fake.prefix.generation("g00000") / fake.toolkit
    link.unlink()
    assert sealed_toolkit(fake.prefix, "g00000", fake.toolkit) == _NAME
    assert sealed_toolkit(fake.prefix, "g00000", "cuda12.4") is None
    assert sealed_toolkit(fake.prefix, "g00009", fake.toolkit) is None
    manifest = fake.prefix.toolkits / _NAME / ".manifest"
    assert toolkit_of_digest(fake.prefix, text_digest(manifest)) == _NAME
    manifest.unlink()
    assert sealed_toolkit(fake.prefix, "g00000", fake.toolkit) is None
