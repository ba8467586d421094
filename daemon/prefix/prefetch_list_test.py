"""The list of what an import reads: its format, and that a damaged one is told from a newer one."""

from dataclasses import replace
from pathlib import Path

import pytest

from daemon.errors import DamageError, NewerFormatError
from daemon.prefix.prefetch_list import (
    PrefetchFile,
    PrefetchList,
    format_prefetch_list,
    keep_prefetch_lists,
    prefetch_path,
    read_prefetch_list,
    write_prefetch_list,
)
from daemon.prefix.prefix import Prefix

LIST = PrefetchList(
    "g00003",
    "python3.11",
    "ab" * 32,
    (
        PrefetchFile("monobase/g00003/python3.11/lib/a b.so", ((0, 4096), (8192, 100))),
        PrefetchFile("uv/python/ü.pyc", ((0, 1),)),
    ),
)


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    prefix = Prefix(tmp_path)
    prefix.make_directories()
    return prefix


def put(prefix: Prefix, text: str) -> None:
    path = prefetch_path(prefix, LIST.generation, LIST.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_list_is_read_as_it_was_written(prefix: Prefix) -> None:
    assert read_prefetch_list(prefix, LIST.generation, LIST.name) is None
    write_prefetch_list(prefix, LIST)
    assert read_prefetch_list(prefix, LIST.generation, LIST.name) == LIST
    assert LIST.total_bytes == 4197
    path = prefetch_path(prefix, LIST.generation, LIST.name)
    assert path.read_text().splitlines()[:5] == [
        "monobase-prefetch 1",
        "environment g00003/python3.11",
        f"manifest {'ab' * 32}",
        "bytes 4197",
        "file 0:4096,8192:100 monobase/g00003/python3.11/lib/a b.so",
    ]
    assert path.stat().st_mode & 0o777 == 0o644
    assert path.parent.stat().st_mode & 0o777 == 0o755


def test_a_new_list_is_a_new_inode(prefix: Prefix) -> None:
    write_prefetch_list(prefix, LIST)
    path = prefetch_path(prefix, LIST.generation, LIST.name)
    with path.open() as old:
        write_prefetch_list(prefix, replace(LIST, files=()))
        assert "a b.so" in old.read()
    assert read_prefetch_list(prefix, LIST.generation, LIST.name) == replace(LIST, files=())


def test_a_list_that_was_cut_off_anywhere_is_damaged(prefix: Prefix) -> None:
    text = format_prefetch_list(LIST)
    for length in range(len(text) - 1):
        put(prefix, text[:length])
        with pytest.raises(DamageError, match="the daemon records it again"):
            read_prefetch_list(prefix, LIST.generation, LIST.name)


@pytest.mark.parametrize(
    ("found", "instead"),
    [("8192:100", "8192:101"), ("manifest ab", "manifest ba"), ("bytes 4197", "bytes 9"), ("ü", "u")],
)
def test_a_list_with_one_change_is_damaged(prefix: Prefix, found: str, instead: str) -> None:
    put(prefix, format_prefetch_list(LIST).replace(found, instead))
    with pytest.raises(DamageError, match="another digest"):
        read_prefetch_list(prefix, LIST.generation, LIST.name)


def test_the_list_of_another_environment_is_damaged(prefix: Prefix) -> None:
    put(prefix, format_prefetch_list(replace(LIST, name="python3.12")))
    with pytest.raises(DamageError, match=r"is of g00003/python3\.12"):
        read_prefetch_list(prefix, LIST.generation, LIST.name)


def test_a_list_of_a_newer_release_is_newer_and_not_damaged(prefix: Prefix) -> None:
    put(prefix, "monobase-prefetch 2\nwhatever\n")
    with pytest.raises(NewerFormatError, match="prefetch 2"):
        read_prefetch_list(prefix, LIST.generation, LIST.name)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a\nb", "", "a\x1b"])
def test_a_path_that_leads_out_or_breaks_a_line_is_not_written(prefix: Prefix, path: str) -> None:
    with pytest.raises(ValueError, match=r"line|not a path below"):
        write_prefetch_list(prefix, replace(LIST, files=(PrefetchFile(path, ((0, 1),)),)))
    assert read_prefetch_list(prefix, LIST.generation, LIST.name) is None


def test_only_the_lists_of_installed_environments_are_kept(prefix: Prefix) -> None:
    for generation, name in (("g00003", "a"), ("g00003", "b"), ("g00004", "a")):
        write_prefetch_list(prefix, replace(LIST, generation=generation, name=name))
    put(prefix, "x")
    half = prefetch_path(prefix, "g00003", "a").with_name(".a.0123.daemon-tmp")
    half.touch()
    keep_prefetch_lists(prefix, {"g00003": {"a"}, "g00005": {"a"}})
    top = prefix.generations / ".prefetch"
    assert [str(path.relative_to(top)) for path in sorted(top.rglob("*"))] == ["g00003", "g00003/a"]


def test_a_link_in_the_place_of_the_folder_leads_nothing_elsewhere(prefix: Prefix, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "g00003").mkdir(parents=True)
    (elsewhere / "g00003" / "kept").touch()
    (prefix.generations / ".prefetch").symlink_to(elsewhere)
    keep_prefetch_lists(prefix, {})
    (prefix.generations / ".prefetch").symlink_to(elsewhere)
    write_prefetch_list(prefix, LIST)
    assert [path.name for path in (elsewhere / "g00003").iterdir()] == ["kept"]
    assert read_prefetch_list(prefix, LIST.generation, LIST.name) == LIST
