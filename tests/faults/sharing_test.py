"""Each wheel once over the network, each content once on the disk: requests, inodes and link counts."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.mount import ext4, private_mounts
from tests.faults.tree import tree_paths
from tests.index.payload import filler
from tests.index.server import LocalIndex
from tests.node.node import BYTECODE_SUFFIX, PLAIN, SITE, Node, make_node
from tests.node.small_generation import define_small_generation
from tests.synthetic.catalog import environment_cell, toolkit_cell

pytest_plugins = ["tests.index.fixture"]

_MAX_LINKS = 65_000  # of ext4
_OTHER = f"{PLAIN}-torch2.4.1-cpu"
_MODULE = f"{SITE}/alpha/__init__.py"
_BYTECODE = f"{SITE}/alpha/__pycache__/__init__.{BYTECODE_SUFFIX}"


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    return make_node(local_index, tmp_path)


@pytest.fixture
def ext4_node(node: Node) -> Iterator[Node]:
    private_mounts()
    with ext4(node.directory / "disk", size_bytes=160_000_000, inodes=20_000) as directory:
        yield node.with_prefix(directory / "prefix")


def _files(node: Node) -> Iterator[Path]:
    for tree in tree_paths(node.prefix):
        for path in tree.rglob("*"):
            if path.is_file() and not path.is_symlink():
                yield path


def test_each_wheel_is_asked_for_once_whatever_the_number_of_environments_that_hold_it(node: Node) -> None:
    common = [node.wheel(f"common{number}") for number in range(4)]
    torches = [node.wheel("torch", version) for version in ("2.3.1", "2.4.1", "2.5.1", "2.6.0")]
    cells = [environment_cell([*common, torch], torch.spec.version) for torch in torches]
    node.define(*cells)
    node.define(*cells, environment_cell(common), generation=1)
    node.install("--jobs", "4")
    expected = {wheel.filename: 1 for wheel in [*common, *torches]}
    assert node.index.log.wheel_downloads() == expected
    assert node.index.log.wheel_attempts() == expected
    assert sum(node.index.log.wheel_bytes().values()) == sum(
        wheel.size_bytes for wheel in [*common, *torches]
    )


def test_a_later_generation_fetches_only_what_is_new(node: Node) -> None:
    alpha = node.wheel()
    node.define(environment_cell([alpha]))
    node.install()
    node.index.log.clear()
    beta = node.wheel("beta")
    node.define(environment_cell([alpha, beta]), environment_cell([alpha], "2.4.1"), generation=1)
    node.install()
    assert node.index.log.wheel_attempts() == {beta.filename: 1}


def test_one_content_is_one_inode_across_environments_generations_wheels_and_toolkits(node: Node) -> None:
    define_small_generation(node)
    library = filler("library", 50_000)
    cublas = node.wheel(
        "nvidia-cublas-cu12", "12.4.5.9", files={"nvidia/cublas/lib/libcublas.so.12": library}
    )
    torch = node.wheel("torch", "2.6.0", files={"torch/lib/libcublas.so.12": library})
    node.define(environment_cell([torch, cublas], "2.6.0"), toolkit_cell([cublas], "12.4.1"), generation=1)
    node.install()
    inodes: dict[tuple[bytes, int], set[int]] = {}
    for path in _files(node):
        status = path.stat()
        if status.st_size and path.name != ".manifest":
            inodes.setdefault((path.read_bytes(), status.st_mode), set()).add(status.st_ino)
    assert len(inodes) > 50
    assert [len(found) for found in inodes.values() if len(found) > 1] == []


def test_each_source_is_compiled_once_and_its_bytecode_is_linked(node: Node) -> None:
    alpha = node.wheel()
    cells = [
        environment_cell([alpha]),
        environment_cell([alpha], "2.4.1"),
        environment_cell([alpha], "2.5.1"),
    ]
    node.define(*cells)
    node.define(*cells, generation=1)
    node.install()
    paths = [
        tree / _BYTECODE for tree in tree_paths(node.prefix) if tree.is_relative_to(node.prefix.generations)
    ]
    assert len(paths) == 6
    assert len({path.stat().st_ino for path in paths}) == 1
    assert paths[0].stat().st_nlink == 7  # and the shared one
    assert len(list(node.prefix.bytecode.rglob("*.pyc"))) == 1
    assert all(path.read_bytes()[4:8] == b"\x01\0\0\0" for path in paths)  # unchecked-hash: no time, no stat


def test_link_counts_tell_links_from_copies(node: Node) -> None:
    alpha = node.wheel()
    node.define(environment_cell([alpha]), environment_cell([alpha], "2.4.1"))
    node.install()
    assert (node.environment() / _MODULE).stat().st_nlink == 4  # two environments, uv's cache, files/
    copied = node.with_prefix(node.directory / "copied")
    copied.install("--copy")
    copies = [copied.environment(name) / path for name in (PLAIN, _OTHER) for path in (_MODULE, _BYTECODE)]
    assert [path.stat().st_nlink for path in copies] == [1, 1, 1, 1]
    assert len({path.stat().st_ino for path in copies}) == 4
    copied.verify()


def test_no_file_of_an_environment_is_a_copy_of_one_in_the_cache(node: Node) -> None:
    define_small_generation(node)
    node.install()
    # One name each: the manifest alone, and no second environment has the same.
    alone = {path.name for path in _files(node) if path.stat().st_nlink == 1 and path.stat().st_size}
    assert alone == {".manifest"}


def test_an_inode_with_all_the_links_that_it_may_have_is_followed_by_a_second_one(ext4_node: Node) -> None:
    node = ext4_node
    alpha = node.wheel()
    node.define(environment_cell([alpha]))
    node.install()
    for path in (_MODULE, _BYTECODE):
        _use_up_the_links(node.environment() / path, node.root.parent / "links")
    node.define(environment_cell([alpha]), environment_cell([alpha], "2.4.1"), generation=1)
    node.install()
    node.define(environment_cell([alpha]), generation=2)
    node.install()
    node.verify()
    for path in (_MODULE, _BYTECODE):
        full = node.environment() / path
        later = [
            node.environment(generation="g00001") / path,
            node.environment(_OTHER, "g00001") / path,
            node.environment(generation="g00002") / path,
        ]
        assert full.stat().st_nlink >= _MAX_LINKS - 1  # the link of files/ went to the second one
        assert not later[0].samefile(full)
        assert later[0].samefile(later[1]), path
        assert later[0].samefile(later[2]), path
        assert later[0].read_bytes() == full.read_bytes()
    assert node.index.log.wheel_attempts() == {alpha.filename: 1}


def test_an_inode_runs_out_of_links_in_the_middle_of_an_install(ext4_node: Node) -> None:
    node = ext4_node
    alpha = node.wheel()
    node.define(environment_cell([alpha]))
    node.install()
    for path in (_MODULE, _BYTECODE):
        _use_up_the_links(node.environment() / path, node.root.parent / "links", leave=1)
    cells = [environment_cell([alpha], version) for version in ("2.3.1", "2.4.1", "2.5.1", "2.6.0")]
    node.define(*cells, generation=1)
    node.install()
    node.verify()
    trees = [tree for tree in tree_paths(node.prefix) if tree.parent.name == "g00001"]
    assert len(trees) == 4
    for path in (_MODULE, _BYTECODE):
        places = [node.environment() / path, *(tree / path for tree in trees)]
        assert len({place.stat().st_ino for place in places}) == 2, path


def test_a_toolkit_is_laid_out_of_an_inode_without_links_to_give(ext4_node: Node) -> None:
    node = ext4_node
    library = "nvidia/cublas/lib/libcublas.so.12"
    cublas = node.wheel("nvidia-cublas-cu12", "12.4.5.8", files={library: b"\x7fELF cublas"})
    node.define(environment_cell([cublas]))
    node.install()
    _use_up_the_links(node.environment() / SITE / library, node.root.parent / "links")
    node.define(environment_cell([cublas]), toolkit_cell([cublas], "12.4.1"), generation=1)
    node.install()
    node.verify()
    toolkit = node.environment("cuda12.4", "g00001") / "lib64" / "libcublas.so.12"
    assert toolkit.samefile(node.environment(generation="g00001") / SITE / library)


def _use_up_the_links(path: Path, directory: Path, leave: int = 0) -> None:
    directory.mkdir(exist_ok=True)
    source, inode = str(path), path.stat().st_ino
    for number in range(_MAX_LINKS - path.stat().st_nlink - leave):
        os.link(source, f"{directory}/{inode}.{number}")
