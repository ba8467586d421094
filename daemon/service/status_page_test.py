"""The page for people."""

import re

from daemon.prefix.usage import Usage
from daemon.service.state import ServiceState
from daemon.service.status_page import status_page
from daemon.upkeep.readiness import GenerationReadiness, Readiness, TargetReadiness

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


def _page(state: ServiceState) -> str:
    return status_page(_READINESS, state, "/srv/<prefix>", 5_000_000_000, 1_700_000_000.0)


def test_each_environment_is_a_cell_with_its_state() -> None:
    page = _page(ServiceState())
    assert page.count("<li class=") == 3
    assert 'class="s-failed"' in page
    assert "1 of 3 ready" in page
    assert "not ready" in page


def test_what_was_not_asked_for_is_counted_by_itself() -> None:
    targets = (
        TargetReadiness("python3.11", "environment", "ready"),
        TargetReadiness("python3.12", "environment", "left out"),
    )
    part = Readiness(True, (), None, (GenerationReadiness("g00001", True, False, "", targets),))
    page = status_page(part, ServiceState(), "/srv", None, 1_700_000_000.0)
    assert "partial · 1 of 1 ready, 1 left out (--only)" in page


def test_nothing_that_comes_from_outside_is_markup() -> None:
    state = ServiceState()
    state.add_error("index", "g00001/<i>", "<script>alert(2)</script>")
    page = _page(state)
    assert "<script" not in page
    assert "<b>wrong" not in page
    assert "&lt;script&gt;alert(2)" in page


def test_the_page_asks_for_nothing_else() -> None:
    page = _page(ServiceState(usage=Usage({"environments": 1000}, 4000, 3000)))
    assert re.search(r"(src|href)=|url\(|@import|//[a-z]", page) is None
    assert "name=viewport" in page


def test_what_sharing_saves_is_told() -> None:
    page = _page(ServiceState(usage=Usage({"environments": 1_000_000_000}, 4_000_000_000, 3_000_000_000)))
    assert "3.0 GB" in page
    assert "(75 %)" in page
    assert "5.0 GB free" in page


def test_what_failed_is_named_with_its_next_try() -> None:
    state = ServiceState()
    assert "tried again" not in _page(state)
    state.retries.failed("install g00001/<i>", "the index lost it")
    state.retries.failed("prune", "busy")
    page = _page(state)
    assert "install g00001/&lt;i&gt;" in page
    assert page.count("in 5 s") == 2
    assert "the index lost it" in page
    state.retries.succeeded("prune")
    assert "busy" not in _page(state)
