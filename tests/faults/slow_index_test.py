"""Tests an index that sends too slowly: its wheel is named and fails, the others do not wait for it."""

import os
from pathlib import Path

import pytest

from tests.faults.tree import leftovers
from tests.index.fault import drip, latency
from tests.index.server import LocalIndex
from tests.node.node import PLAIN, Node, make_node
from tests.synthetic.catalog import environment_cell

pytest_plugins = ["tests.index.fixture"]

_IMPATIENT = ("--min-download-rate", "1k", "--min-download-window", "1")
_DRIPS_BYTES_PER_S = 20


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    return make_node(local_index, tmp_path)


@pytest.mark.parametrize("path", ["*slow*.whl", "*/slow*/"], ids=["wheel", "page"])
def test_what_drips_is_named_with_its_rate_and_all_else_is_installed(node: Node, path: str) -> None:
    alpha = node.wheel()
    slow = [node.wheel(name, files={"x": os.urandom(50_000)}) for name in ("slow1", "slow2", "slow3")]
    node.define(
        environment_cell([alpha]),
        *(environment_cell([alpha, wheel], f"2.{wheel.spec.name[-1]}.0") for wheel in slow),
    )
    with node.index.fault(drip(path, bytes_per_s=_DRIPS_BYTES_PER_S, times=None)):
        said = node.install(*_IMPATIENT, code=4)
    for wheel in slow:
        assert f"{wheel.filename}: the index is too slow" in said
    assert "asks for 1,000 a second over --min-download-window 1" in said
    assert f"{alpha.filename}: " not in said
    assert node.environment().exists()
    assert not node.environment(f"{PLAIN}-torch2.1.0-cpu").exists()
    assert leftovers(node.prefix) == []
    node.install(*_IMPATIENT)
    assert node.index.log.wheel_downloads() == {wheel.filename: 1 for wheel in [alpha, *slow]}
    node.verify()


@pytest.mark.parametrize("variables", [{}, {"MONOBASE_MAX_DOWNLOAD_RATE": "10k"}], ids=["", "limited"])
def test_one_that_is_slow_and_not_too_slow_is_waited_for(node: Node, variables: dict[str, str]) -> None:
    node.define(environment_cell([node.wheel(files={"x": os.urandom(25_000)})]))
    rate = () if variables else (drip("*.whl", bytes_per_s=10_000),)
    with node.index.fault(*rate):
        node.install(
            "--min-download-window", "0.5", variables={"MONOBASE_MIN_DOWNLOAD_RATE": "3k"} | variables
        )
    assert node.is_sealed()


def test_one_that_begins_late_is_waited_for(node: Node) -> None:
    alpha = node.wheel()
    node.define(environment_cell([alpha]))
    with node.index.fault(latency("*/alpha/", delay_s=2, times=1), latency("*.whl", delay_s=3, times=1)):
        node.install(*_IMPATIENT)
    assert node.index.log.wheel_attempts() == {alpha.filename: 1}


def test_there_need_be_no_least_rate(node: Node) -> None:
    node.define(environment_cell([node.wheel()]))
    with node.index.fault(drip("*.whl", bytes_per_s=300)):
        node.install("--min-download-rate", "0", "--min-download-window", "0.5")
    assert node.is_sealed()
