"""The page for people."""

import re
from dataclasses import replace

import pytest

from daemon.prefix.disk_budget import BudgetUse
from daemon.prefix.usage import TreeUsage, Usage
from daemon.service.page_facts import PageFacts
from daemon.service.state import LeaseState, ServiceState
from daemon.service.status_page import status_page
from daemon.upkeep.readiness import GenerationReadiness, Readiness, State, TargetReadiness
from gens.generation import Environment, Generation, Inputs

_READINESS = Readiness(
    False,
    ("g00001: <b>wrong</b>",),
    "g00000",
    (
        GenerationReadiness(
            "g00001", False, False, "<b>wrong</b>",
            (
                TargetReadiness("python3.11", "environment", "ready"),
                TargetReadiness("python3.11-torch2.4.1-cpu", "environment", "failed", "<script>1</script>"),
                TargetReadiness("cuda12.4", "toolkit", "installing"),
            ),
        ),
    ),
)  # fmt: skip


def _cell(torch: str | None = None) -> Environment:
    inputs = Inputs("3.11.1", "x86_64-manylinux_2_34", "2026-11-01T00:00:00Z", ())
    return Environment("3.11", "3.11.1", inputs, torch, "cpu" if torch else None)


_DEFINITION = Generation(
    1, "x86_64-manylinux_2_34", "2026-11-01T00:00:00Z", {"3.11": "3.11.1"}, (_cell(), _cell("2.4.1"))
)


def _page(state: ServiceState) -> str:
    explained = {retry.subject.removeprefix("install ") for retry in state.retries.pending()}
    facts = PageFacts(
        {"g00001": _DEFINITION}, explained=explained, free_bytes=5_000_000_000, now_s=1_700_000_000.0
    )
    return status_page(_READINESS, state, "/srv/<prefix>", facts)


def test_each_environment_is_a_cell_with_its_state() -> None:
    page = _page(ServiceState())
    assert page.count("<td class=") == 2
    assert "<td class=failed" in page
    assert page.count("<li class=installing") == 1
    assert "1 of 3 ready" in page
    assert "not ready" in page


def test_the_selection_of_the_node_is_named() -> None:
    readiness = replace(_READINESS, selection="--pool h100")
    page = status_page(readiness, ServiceState(), "/srv", PageFacts())
    assert "holds <code>--pool h100</code>" in page
    assert "holds" not in _page(ServiceState())


def test_generations_of_another_machine_are_named() -> None:
    facts = PageFacts({}, explained=set(), free_bytes=1, now_s=1_700_000_000.0)
    readiness = replace(_READINESS, elsewhere=("g00000", "g00002"))
    assert "nothing for this machine: g00000, g00002" in status_page(readiness, ServiceState(), "/p", facts)
    assert "nothing for this machine" not in _page(ServiceState())


def test_a_failure_that_is_tried_again_is_explained_once() -> None:
    state = ServiceState()
    assert _page(state).count("&lt;script&gt;1") == 1
    state.retries.failed("install g00001/python3.11-torch2.4.1-cpu", "the index lost it")
    page = _page(state)
    assert page.count("the index lost it") == 1
    assert "&lt;script&gt;1" not in page


def test_a_long_reason_is_cut_short() -> None:
    long = replace(_READINESS, reasons=("x" * 500,))
    page = status_page(long, ServiceState(), "/srv", PageFacts())
    assert f"<li>{'x' * 300}…</li>" in page


def test_nothing_that_comes_from_outside_is_markup() -> None:
    state = ServiceState()
    state.add_error("index", "g00001/<i>", "<script>alert(2)</script>")
    page = _page(state)
    assert page.count("<script") == 1  # the page's own
    assert "<b>wrong" not in page
    assert "&lt;script&gt;alert(2)" in page


def test_the_page_asks_for_nothing_else() -> None:
    page = _page(ServiceState(usage=Usage({"environments": 1000}, 4000, 3000)))
    assert re.search(r" (src|href)=|url\(|@import|//[a-z]", page) is None
    assert "name=viewport" in page


def test_what_sharing_saves_is_told() -> None:
    page = _page(ServiceState(usage=Usage({"environments": 1_000_000_000}, 4_000_000_000, 3_000_000_000)))
    assert "3.0 GB" in page
    assert "(75 %)" in page
    assert "5.0 GB free" in page
    assert "<rect class=k0 x=0.0 width=250.0" in page
    assert "<rect class=saved x=250.0 width=750.0" in page


def test_the_page_names_the_budget_of_the_disk() -> None:
    state = ServiceState(usage=Usage({"environments": 1_000}))
    assert "the budget" not in _page(state)
    state.budget = BudgetUse(3_000_000_000, 1_000, 5_000_000_000)
    assert "5.0 GB free, the budget is 3.0 GB" in _page(state)


def test_a_disk_that_holds_nothing_has_no_bar() -> None:
    assert "<svg" not in _page(ServiceState(usage=Usage({"environments": 0})))


def test_without_a_script_the_page_reloads_itself() -> None:
    assert "<noscript><meta http-equiv=refresh content=10></noscript>" in _page(ServiceState())


def test_the_parts_that_the_script_replaces_have_distinct_names() -> None:
    names = re.findall(r'id="?(live-[\w-]+)"? data-live', _page(ServiceState()))
    assert names == ["live-header", "live-problems", "live-g00001", "live-disk", "live-errors"]
    assert _page(ServiceState()).count(" data-live>") == len(names)


def test_what_failed_is_named_with_its_next_try() -> None:
    state = ServiceState()
    assert "tried again" not in _page(state)
    state.retries.failed("install g00001/<i>", "the index lost it")
    state.retries.failed("prune", "busy")
    page = _page(state)
    assert "install g00001/&lt;i&gt;" in page
    assert page.count("next try in 5 s") == 2
    assert "the index lost it" in page
    state.retries.succeeded("prune")
    assert "busy" not in _page(state)


@pytest.mark.parametrize("state", ["ready", "failed"])
def test_a_page_of_a_thousand_environments_is_not_large(state: State) -> None:
    inputs = Inputs("3.11.1", "x86_64-manylinux_2_34", "2026-11-01T00:00:00Z", ())
    pythons = {f"3.{minor}": f"3.{minor}.1" for minor in range(10)}
    cells = tuple(
        Environment(python, full, inputs, f"2.{number}.0", "cu130", "13.0")
        for python, full in pythons.items()
        for number in range(100)
    )
    definition = Generation(1, "x86_64-manylinux_2_34", "2026-11-01T00:00:00Z", pythons, cells)
    reason = "why " * 300 if state == "failed" else ""
    targets = tuple(TargetReadiness(cell.name, "environment", state, reason) for cell in cells)
    found = Readiness(True, (), None, (GenerationReadiness("g00001", True, True, "", targets),))
    trees = {f"g00001/{cell.name}": TreeUsage(4_900_000_000, 253_000_000) for cell in cells}
    service = ServiceState(usage=Usage({"environments": 1}, 5, 4, trees))
    for cell in cells if state == "failed" else ():
        service.retries.failed(f"install g00001/{cell.name}", reason)
    facts = PageFacts({"g00001": definition}, trees, LeaseState(dict.fromkeys(trees, 1600000000)))
    page = status_page(found, service, "/srv", replace(facts, now_s=1_700_000_000.0))
    assert page.count(f"<td class={state} ") == 1000
    assert len(page.encode()) < 200_000
    assert ("and 980 more: /readyz has them all" in page) == (state == "failed")
