"""Repairs of inventories and of lists of bytecode."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.prefix.inventory import inventory_path
from tests.fake_prefix.fake_node import ALPHA, BYTECODE, FakeNode
from tests.faults.harm import harm
from tests.synthetic.catalog import PYTHON


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    return FakeNode(tmp_path, monkeypatch)


def test_an_inventory_is_taken_again_from_the_cache(node: FakeNode) -> None:
    for path in node.prefix.wheels.glob("*.files.gz"):
        path.write_bytes(b"junk")
    said = node.repair_all()
    assert node.fetched == []
    assert "(inventory " in said


@pytest.mark.parametrize("cache", ["damaged", "gone"])
def test_an_inventory_comes_with_the_wheel_when_the_cache_has_another(node: FakeNode, cache: str) -> None:
    (path,) = (inventory_path(node.prefix, item) for item in node.inventories if _is_alpha(node, item))
    path.unlink()
    if cache == "gone":
        node.remove_cache()
    else:
        (next(node.prefix.uv_cache.rglob("alpha/data")).parent / "stray").write_text("")
    node.repair_all()
    assert node.fetched == ["alpha"]


def _is_alpha(node: FakeNode, sha256: str) -> bool:
    return b"alpha/data" in gzip.decompress(node.inventories[sha256])


def test_an_inventory_that_is_another_one_after_the_download_is_a_failure(node: FakeNode) -> None:
    alpha = next(sha256 for sha256 in node.inventories if _is_alpha(node, sha256))
    inventory_path(node.prefix, alpha).unlink()
    node.remove_cache()
    node.inventories[alpha] = gzip.compress(gzip.decompress(node.inventories[alpha]) + b"more\n")
    result, _ = node.repair(stores=False)
    assert "it is not the one that monobase/g0000" in str(next(iter(result.failures.values())))


def _list(node: FakeNode) -> Path:
    return next(
        path for path in node.prefix.wheels.glob("*.pyc.gz") if b"alpha" in gzip.decompress(path.read_bytes())
    )


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"junk")])
def test_a_list_of_bytecode_is_made_from_the_bytecode_of_the_tree(
    node: FakeNode, damage: Callable[[Path], None]
) -> None:
    damage(_list(node))
    said = node.repair_all()
    assert "(list of bytecode " in said
    assert "removed" not in said


def test_a_list_of_bytecode_is_made_from_recompiled_sources_when_the_bytecode_is_damaged_too(
    node: FakeNode,
) -> None:
    path = _list(node)
    path.unlink()
    path.mkdir()
    harm(node.file(BYTECODE), "cut")
    node.file(f"{ALPHA}/__init__.py").unlink()
    node.repair_all()


def test_bytecode_that_another_interpreter_would_make_is_not_taken(node: FakeNode) -> None:
    _list(node).unlink()
    harm(node.file(BYTECODE), "cut")
    program = next(node.fake.interpreter.glob(f"bin/python{PYTHON}"))
    program.write_text('#!/bin/sh\necho \'{"version": "3.1.4", "tag": "cpython-31", "path": "/"}\'\n')
    result, _ = node.repair("g00000", stores=False)
    assert "is cpython-31-3.1.4, and the bytecode is of cpython-" in str(
        result.failures[f"monobase/g00000/{node.fake.environment}"]
    )
