"""Bytes by kind."""

import os
import shutil
import threading
from pathlib import Path

from daemon.prefix.prefix import Prefix
from daemon.prefix.usage import DistinctFiles, disk_bytes, read_usage


def _prefix(root: Path) -> Prefix:
    prefix = Prefix(root)
    prefix.make_directories()
    tree = prefix.generation("g00000") / "python3.11"
    other = prefix.generation("g00000") / "python3.12"
    toolkit = prefix.toolkits / "cuda-12.4.1"
    for directory in (tree, other, toolkit):
        directory.mkdir(parents=True)
    (tree / "data").write_bytes(bytes(100_000))
    os.link(tree / "data", other / "data")
    os.link(tree / "data", prefix.uv_cache / "data")
    (toolkit / "nvcc").write_bytes(bytes(50_000))
    for name in ("g00000", "g00001"):
        prefix.generation(name).mkdir(exist_ok=True)
        (prefix.generation(name) / "cuda12.4").symlink_to("../../cuda/cuda-12.4.1")
    (prefix.uv_cache / "own").write_bytes(bytes(20_000))
    return prefix


def test_all_kinds_together_are_what_the_disk_holds(tmp_path: Path) -> None:
    prefix = _prefix(tmp_path)
    assert read_usage(prefix).total_bytes == disk_bytes(prefix.root)


def test_a_file_counts_once_for_the_environments(tmp_path: Path) -> None:
    usage = read_usage(_prefix(tmp_path))
    assert 100_000 <= usage.disk_bytes["environments"] < 150_000
    assert 20_000 <= usage.disk_bytes["uv-cache"] < 60_000


def test_saved_is_what_separate_copies_would_take_besides(tmp_path: Path) -> None:
    usage = read_usage(_prefix(tmp_path))
    assert usage.apparent_bytes == 2 * 100_000 + 2 * 50_000
    assert usage.saved_bytes == 100_000 + 50_000


def test_a_tree_owns_what_no_other_tree_links(tmp_path: Path) -> None:
    prefix = _prefix(tmp_path)
    (prefix.generation("g00000") / "python3.12" / "alone").write_bytes(bytes(40_000))
    os.link(prefix.generation("g00000") / "python3.12" / "alone", prefix.uv_cache / "alone")
    trees = read_usage(prefix).trees
    assert sorted(trees) == ["g00000/cuda12.4", "g00000/python3.11", "g00000/python3.12", "g00001/cuda12.4"]
    assert trees["g00000/python3.12"].apparent_bytes == 140_000
    assert 40_000 <= trees["g00000/python3.12"].own_bytes < 80_000
    assert trees["g00000/python3.11"].own_bytes < 40_000  # its folder: the file is in another tree as well


def test_a_toolkit_of_two_generations_has_the_same_bytes_in_both(tmp_path: Path) -> None:
    trees = read_usage(_prefix(tmp_path)).trees
    assert trees["g00000/cuda12.4"] == trees["g00001/cuda12.4"]
    assert trees["g00000/cuda12.4"].apparent_bytes == 50_000
    assert 50_000 <= trees["g00000/cuda12.4"].own_bytes < 90_000


def test_a_second_name_in_the_same_tree_is_not_shared(tmp_path: Path) -> None:
    prefix = _prefix(tmp_path)
    tree = prefix.generation("g00000") / "python3.12"
    (tree / "alone").write_bytes(bytes(60_000))
    os.link(tree / "alone", tree / "again")
    found = read_usage(prefix).trees["g00000/python3.12"]
    assert found.apparent_bytes == 220_000
    assert 60_000 <= found.own_bytes < 100_000


def test_what_vanishes_meanwhile_is_no_error(tmp_path: Path) -> None:
    prefix = _prefix(tmp_path)
    ended = threading.Event()

    def prune() -> None:
        number = 2
        while not ended.is_set():
            tree = prefix.generation(f"g{number:05d}") / "python3.11" / "lib"
            tree.mkdir(parents=True)
            for name in range(20):
                (tree / str(name)).touch()
            shutil.rmtree(prefix.generation(f"g{number:05d}"))
            number += 1

    pruner = threading.Thread(target=prune)
    pruner.start()
    try:
        assert min(read_usage(prefix).saved_bytes for _ in range(200)) == 150_000
    finally:
        ended.set()
        pruner.join()


def test_an_empty_prefix_has_nothing(tmp_path: Path) -> None:
    assert read_usage(Prefix(tmp_path / "nowhere")).apparent_bytes == 0


def test_files_of_several_trees_are_told_by_name_and_counted_by_inode(tmp_path: Path) -> None:
    prefix = _prefix(tmp_path)
    files = DistinctFiles()
    trees = [prefix.generation("g00000") / name for name in ("python3.11", "python3.12")]
    assert [files.add(tree) for tree in trees] == [100_000, 100_000]
    assert files.add(trees[0]) == 100_000
    assert files.distinct_bytes == 100_000
