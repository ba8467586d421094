"""Checks the path of a prefix, and names that become parts of paths in it."""

from pathlib import Path

import pytest

from daemon.errors import DiskError, PrefixPathError
from daemon.prefix.prefix import Prefix, prefix_at
from gens.errors import DefinitionError


@pytest.mark.parametrize(
    "path", ["/m/a\tb", "/m/a\nb", "/m/a\rb", "/m/a\x1bb", "/m/a:b", "/m/\udcff", "/", "/..", "//"]
)
def test_a_path_that_lines_and_search_paths_cannot_carry_is_refused(path: str) -> None:
    with pytest.raises(PrefixPathError, match="--prefix"):
        prefix_at(Path(path))


def test_a_relative_path_is_below_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    assert prefix_at(Path("a/../größe ✓")).root == tmp_path / "größe ✓"


def test_a_way_up_behind_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "far" / "folder").mkdir(parents=True)
    (tmp_path / "link").symlink_to("far/folder")
    with pytest.raises(PrefixPathError, match=r"write it without"):
        prefix_at(tmp_path / "link" / ".." / "m")


def test_what_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(DiskError, match="file: is not a directory"):
        prefix_at(tmp_path / "file")
    with pytest.raises(DiskError, match="dangling: is a link to nowhere, which is not there"):
        prefix_at(tmp_path / "dangling")


@pytest.mark.parametrize("name", ["../x", "..", ".staging", "", "g00001/x", "g\0", "-x"])
def test_the_folder_of_a_generation_is_one_part_of_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(DefinitionError, match="cannot be a part of a path"):
        Prefix(tmp_path).generation(name)
