"""Tests that readers of a prefix neither fail nor report damage while it is pruned."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.prefix.finding import Finding
from daemon.prefix.prefix import Prefix
from daemon.prefix.usage import read_usage
from daemon.report.progress import Reporter
from daemon.upkeep.prune import prune
from daemon.upkeep.prune_plan import PruneRules, plan_prune
from daemon.upkeep.readiness import read_readiness
from daemon.upkeep.scan import scan
from daemon.upkeep.status import read_status
from daemon.upkeep.verify import verify
from daemon.uv.program import find_uv
from gens.catalog import Catalog, load_catalog
from tests.index.server import LocalIndex
from tests.node.node import Node, make_node
from tests.node.small_generation import define_small_generation
from tests.synthetic.catalog import environment_cell, toolkit_cell

_NAMES = ["g00000", "g00001"]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    directory = tmp_path_factory.mktemp("node")
    with LocalIndex(directory / "index") as index:
        node = make_node(index, directory)
        define_small_generation(node)
        cublas = node.wheel(
            "nvidia-cublas-cu12",
            "12.6.1.4",
            files={"nvidia/cublas/lib/libcublas.so.12": b"\x7fELF new"},
        )
        node.define(environment_cell([node.wheel("beta")]), toolkit_cell([cublas], "12.6.1"), generation=1)
        node.install()
        yield node


@pytest.fixture
def prefix(node: Node, tmp_path: Path) -> Prefix:
    subprocess.run(["/bin/cp", "-a", node.root, tmp_path / "prefix"], check=True)
    return Prefix(tmp_path / "prefix")


def _prune(prefix: Prefix, catalog: Catalog) -> None:
    plan = prune(prefix, catalog, find_uv(None), PruneRules(1), Reporter())
    assert plan.generations in (["g00000"], [])


def _verify_and(prefix: Prefix, moment: int, work: Callable[[], None]) -> tuple[list[Finding], int]:
    """Verify everything, and run an action before the tree of a given number; count the trees."""
    seen = 0

    def each(_label: str) -> None:
        nonlocal seen
        if seen == moment:
            work()
        seen += 1

    return verify(prefix, _NAMES, 1, each, stores=True).findings, seen


def test_what_is_pruned_at_any_moment_of_a_look_is_no_damage(node: Node, tmp_path: Path) -> None:
    catalog = load_catalog(node.gens)
    before, trees = _verify_and(node.prefix, -1, lambda: None)
    assert before == []
    assert trees == 7
    for moment in range(trees):
        place = Prefix(tmp_path / f"prefix{moment}")
        subprocess.run(["/bin/cp", "-a", node.root, place.root], check=True)
        findings, _ = _verify_and(place, moment, lambda place=place: _prune(place, catalog))  # type: ignore[misc]
        assert findings == [], moment
        assert place.installed_generations() == ["g00001"]


def test_a_generation_that_another_takes_the_name_of_meanwhile_is_no_damage(
    node: Node, prefix: Prefix, tmp_path: Path
) -> None:
    def replace() -> None:
        prefix.generation("g00000").rename(tmp_path / "away")
        subprocess.run(
            ["/bin/cp", "-a", node.prefix.generation("g00001"), prefix.generation("g00000")], check=True
        )

    findings, _ = _verify_and(prefix, 1, replace)
    assert [finding for finding in findings if finding.tree.startswith("monobase/g00000")] == []


def test_no_look_fails_while_a_prune_goes_on(node: Node, prefix: Prefix) -> None:
    catalog = load_catalog(node.gens)
    stop = threading.Event()
    failures: list[object] = []
    counts: list[int] = []
    looks: list[Callable[[], object]] = [
        lambda: verify(prefix, _NAMES, 1, stores=True).findings,
        lambda: scan(prefix, _NAMES, full=True, jobs=1, stop=lambda: False),
        lambda: (read_status(prefix), read_usage(prefix), None)[2],
        lambda: read_readiness(prefix, catalog, 1, None).reasons,
        lambda: plan_prune(prefix, catalog, PruneRules(1)).incomplete,
    ]

    def look_until_stopped(look: Callable[[], object]) -> None:
        count = 0
        while not stop.is_set() or not count:
            try:
                found = look()
            except Exception as error:
                failures.append(error)
                return
            if found:
                failures.append(found)
            count += 1
        counts.append(count)

    threads = [threading.Thread(target=look_until_stopped, args=(look,)) for look in looks]
    for thread in threads:
        thread.start()
    _prune(prefix, catalog)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(counts) == len(looks)
    assert prefix.installed_generations() == ["g00001"]
