"""An index that cuts, stalls, fails, forgets or goes down: tried again, or named; nothing half-made stays."""

import os
from pathlib import Path

import pytest

from tests.faults.tree import leftovers
from tests.index.fault import Fault, latency, reset, stall, status, truncate
from tests.index.server import LocalIndex
from tests.index.wheel import Wheel
from tests.node.node import PLAIN, Node, make_node
from tests.synthetic.catalog import environment_cell

pytest_plugins = ["tests.index.fixture"]

_AFTER_BYTES = 20_000
# Only where the index stalls: elsewhere, a time-out on a busy machine would be a second download.
_IMPATIENT = {"UV_HTTP_TIMEOUT": "5"}
_HICCUPS = {
    "an error status": status("*.whl", code=500),
    "an error status of a gateway": status("*.whl", code=503),
    "a reset before the answer": reset("*.whl"),
    "a reset in the middle": reset("*.whl", after_bytes=_AFTER_BYTES),
    "an end in the middle": truncate("*.whl", after_bytes=_AFTER_BYTES),
    "a stall in the middle": stall("*.whl", after_bytes=_AFTER_BYTES, delay_s=600),
    "a page with an error status": status("*/alpha/", code=500),
    "a page that is reset": reset("*/alpha/"),
    "a late answer": latency("*.whl", delay_s=0.5, times=1),
}
_LASTING = {
    "an error status": (status("*.whl", code=500, times=None), "500"),
    "a reset in the middle": (reset("*.whl", after_bytes=_AFTER_BYTES, times=None), ""),
    "an end in the middle": (truncate("*.whl", after_bytes=_AFTER_BYTES, times=None), ""),
    "a stall in the middle": (stall("*.whl", after_bytes=_AFTER_BYTES, delay_s=600, times=None), ""),
}


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    return make_node(local_index, tmp_path)


@pytest.fixture
def alpha(node: Node) -> Wheel:
    wheel = node.wheel(files={"alpha/__init__.py": b"", "alpha/data.bin": os.urandom(100_000)})
    node.define(environment_cell([wheel]), environment_cell([wheel], "2.4.1"))
    return wheel


@pytest.mark.parametrize("name", _HICCUPS)
def test_what_fails_once_is_tried_again(node: Node, alpha: Wheel, name: str) -> None:
    with node.index.fault(_HICCUPS[name]):
        node.install(variables=_IMPATIENT if "stall" in name else {})
    assert node.is_sealed()
    assert node.index.log.wheel_downloads() == {alpha.filename: 1}
    node.verify()


@pytest.mark.parametrize("name", _LASTING)
def test_what_fails_for_ever_is_named_and_leaves_nothing_half_made(
    node: Node, alpha: Wheel, name: str
) -> None:
    fault, reason = _LASTING[name]
    _check_the_failure(node, alpha, fault, reason, _IMPATIENT if "stall" in name else {})


def _check_the_failure(
    node: Node, alpha: Wheel, fault: Fault, reason: str, variables: dict[str, str]
) -> None:
    with node.index.fault(fault):
        said = node.install(code=4, variables={"UV_HTTP_RETRIES": "1"} | variables)
    assert "alpha" in said
    assert reason in said
    assert not node.environment().exists()
    assert not node.is_sealed()
    assert leftovers(node.prefix) == []
    node.install()
    assert node.is_sealed()
    assert node.index.log.wheel_downloads() == {alpha.filename: 1}
    node.verify()


def test_a_wheel_that_the_index_lost_is_named_and_all_others_are_installed(node: Node) -> None:
    kept, lost = node.wheel(), node.wheel("lost", "3.1")
    node.define(environment_cell([kept]), environment_cell([kept, lost], "2.4.1"))
    node.index.repository.lose(lost.filename)
    said = node.install(code=4)
    assert "lost" in said
    assert "3.1" in said
    assert f"g00000/{PLAIN}-torch2.4.1-cpu" in said
    assert node.environment().exists()
    assert not node.is_sealed()


def test_a_package_that_the_index_does_not_know_any_more_is_named(node: Node) -> None:
    kept, gone = node.wheel(), node.wheel("gone")
    node.define(environment_cell([kept, gone]))
    with node.index.fault(status("*/gone/", code=404, times=None)):
        said = node.install(code=4)
    assert "gone" in said
    assert not node.environment().exists()


def test_an_index_that_is_down_is_one_error_and_touches_nothing_that_is_sealed(
    node: Node, alpha: Wheel
) -> None:
    node.install()
    node.define(environment_cell([node.wheel("beta")]), generation=1)
    with node.index.down():
        said = node.install(code=4, variables={"UV_HTTP_RETRIES": "1"})
        node.install("--max-gen-id", "0")
    assert "beta" in said
    assert "Traceback" not in said
    assert node.prefix.latest.readlink() == Path("g00000")
    assert node.differences() == []
    node.install()
    assert node.is_sealed("g00001")
    assert node.index.log.wheel_downloads()[alpha.filename] == 1


def test_an_index_that_goes_down_in_the_middle_costs_only_what_had_not_arrived(node: Node) -> None:
    wheels = [node.wheel(f"p{number}") for number in range(6)]
    node.define(environment_cell(wheels))
    node.index.go_down_after(9)
    node.install(code=4, variables={"UV_HTTP_RETRIES": "0", "UV_CONCURRENT_DOWNLOADS": "1"})
    assert not node.environment().exists()
    node.index.go_up()
    node.install()
    assert node.index.log.wheel_downloads() == {wheel.filename: 1 for wheel in wheels}
    node.verify()
