"""What is freed, with links counted."""

import os
from pathlib import Path

from daemon.host.removal import LinkCount, remove


def _blocks(path: Path) -> int:
    return path.lstat().st_blocks * 512


def test_a_file_that_has_another_name_frees_nothing(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(bytes(50_000))
    os.link(first, second)
    count = LinkCount()
    count.take_tree(str(first))
    assert count.freed_bytes == 0
    assert count.links_left(second.lstat()) == 1
    count.take_tree(str(second))
    assert count.freed_bytes == _blocks(second)


def test_the_prediction_is_what_removing_frees(tmp_path: Path) -> None:
    tree, kept = tmp_path / "tree", tmp_path / "kept"
    (tree / "deep" / "deeper").mkdir(parents=True)
    kept.write_bytes(bytes(10_000))
    os.link(kept, tree / "deep" / "shared")
    (tree / "own").write_bytes(bytes(30_000))
    os.link(tree / "own", tree / "deep" / "twice")
    (tree / "link").symlink_to("own")
    predicted = LinkCount()
    predicted.take_tree(str(tree))
    freed = remove([str(tree)])
    assert not tree.exists()
    assert kept.stat().st_nlink == 1
    assert freed.freed_bytes == predicted.freed_bytes >= 30_000
    assert freed.freed_inodes == predicted.freed_inodes == 5


def test_what_a_link_names_stays(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"1")
    (tmp_path / "link").symlink_to("folder")
    remove([str(tmp_path / "link"), str(tmp_path / "nowhere")])
    assert (tmp_path / "folder" / "file").exists()
    assert not (tmp_path / "link").is_symlink()
