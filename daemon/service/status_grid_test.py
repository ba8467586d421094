"""A generation as a grid."""

import re
from typing import get_args

import pytest

from daemon.prefix.progress_file import ProgressLine
from daemon.prefix.usage import TreeUsage
from daemon.service.page_facts import PageFacts
from daemon.service.state import LeaseState
from daemon.service.status_grid import SIGNS, generation_section, short_age, short_size
from daemon.upkeep.readiness import GenerationReadiness, State, TargetReadiness
from gens.generation import Environment, Generation, Inputs, Toolkit

_PLATFORM = "x86_64-manylinux_2_34"
_BOUND = "2026-11-01T00:00:00Z"
_INPUTS = Inputs("3.11.1", _PLATFORM, _BOUND, ())


def _cell(python: str, torch: str | None = None, build: str | None = None, **stack: str) -> Environment:
    return Environment(python, f"{python}.1", _INPUTS, torch, build, None, **stack)


_CELLS = (
    _cell("3.11"),
    _cell("3.11", "2.4.1", "cu121"),
    _cell("3.11", "2.5.1", "cu121"),
    _cell("3.11", "2.5.1", "cu124"),
    _cell("3.12", "2.5.1", "cu124"),
    _cell("3.12", "2.5.1", "cu124", stack="vllm", stack_version="0.33.0"),
    _cell("3.12", stack="jax", stack_version="0.12.0"),
)
_PYTHONS = {"3.11": "3.11.1", "3.12": "3.12.1"}
_DEFINITION = Generation(
    1, _PLATFORM, _BOUND, _PYTHONS, _CELLS, (Toolkit("cuda", "12.4", "12.4.1", _INPUTS),)
)


def _section(states: dict[str, State] | None = None, reason: str = "", **arguments: object) -> str:
    states = states or {}
    targets = tuple(
        TargetReadiness(target.name, target.kind, states.get(target.name, "ready"), reason)
        for target in _DEFINITION.targets
    )
    found = GenerationReadiness("g00001", True, True, "", targets)
    settings = {"definitions": {"g00001": _DEFINITION}} | arguments
    return generation_section(found, "g00001", PageFacts(**settings))  # type: ignore[arg-type]  # of a test


def _row(section: str, head: str) -> list[str]:
    (found,) = re.findall(rf"<tr><th scope=row>{re.escape(head)}</th>(.*?)</tr>", section)
    return re.findall(r"<td.*?</td>", found)


def test_a_row_is_a_torch_build_and_a_column_a_python() -> None:
    section = _section()
    assert re.findall(r"<th scope=col>([^<]+)</th>", section) == ["Torch", "3.11", "3.12"]
    left, right = _row(section, "2.5.1 <small>cu124</small>")
    assert 'title="python3.11-torch2.5.1-cu124: ready"' in left
    assert 'title="python3.12-torch2.5.1-cu124: ready"' in right
    assert _row(section, "2.4.1 <small>cu121</small>")[1] == "<td></td>"


def test_the_newest_torch_stands_first_and_stacks_before_python_alone() -> None:
    heads = re.findall(r"<th scope=row>(.*?)</th>", _section())
    assert heads == [
        "2.5.1 <small>cu124</small>",
        "2.5.1 <small>cu121</small>",
        "2.4.1 <small>cu121</small>",
        "vllm 0.33.0<small>2.5.1 cu124</small>",
        "jax 0.12.0<small>no Torch</small>",
        "no Torch",
    ]


@pytest.mark.parametrize("state", get_args(State))
def test_a_state_is_told_by_a_sign_a_class_and_a_word(state: State) -> None:
    name = "python3.11-torch2.4.1-cu121"
    (cell, _) = _row(_section({name: state}), "2.4.1 <small>cu121</small>")
    assert f"<td class={state.replace(' ', '-')} " in cell
    assert f'title="{name}: {state}"' in cell
    assert f"<b>{SIGNS[state]}</b>" in cell
    assert (f"<small>{state}</small>" in cell) == (state != "ready")
    assert len(set(SIGNS.values())) == len(SIGNS)


def test_a_cell_has_the_size_and_what_no_other_tree_links() -> None:
    trees = {"g00001/python3.11": TreeUsage(4_900_000_000, 253_400_000)}
    (cell, other) = _row(_section(trees=trees), "no Torch")
    assert "</b> 4.9 GB<small>+253 MB</small>" in cell
    assert other == "<td></td>"


_USED = "g00001/python3.11"


def test_an_environment_is_shown_with_the_models_that_lease_it() -> None:
    leases = LeaseState({_USED: 1000}, frozenset({_USED}))
    for models, shown in (({}, "in use"), ({_USED: 1}, "1 model"), ({_USED: 12}, "12 models")):
        (cell, _) = _row(_section(leases=leases, models=models, now_s=9000.0), "no Torch")
        assert f"<small><b>● {shown}</b></small>" in cell
        assert "ago" not in cell


def test_an_environment_that_nobody_leases_is_shown_with_its_last_use() -> None:
    leases = LeaseState({_USED: 1000})
    (cell, _) = _row(_section(leases=leases, now_s=1000 + 3 * 3600 + 59), "no Torch")
    assert "<small>3 h ago</small>" in cell
    (cell, _) = _row(_section({"python3.11": "missing"}, leases=leases, now_s=9000.0), "no Torch")
    assert "ago" not in cell


def test_a_generation_that_is_leased_as_a_whole_says_so() -> None:
    leases = LeaseState(generations=frozenset({"g00001"}))
    assert "· in use, as a whole" in _section(leases=leases)
    assert "· 2 models, as a whole" in _section(leases=leases, models={"g00001": 2})


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (ProgressLine("g00001", "python3.11", "fetch", 370, 1000), "fetch 37 %"),
        (ProgressLine("g00001", "python3.11", "fetch"), "fetch"),
        (ProgressLine("g00001", "python3.11", "lay-out", 370, 1000), "lay-out"),
    ],
)
def test_what_is_installed_now_is_shown_with_its_stage(line: ProgressLine, shown: str) -> None:
    section = _section({"python3.11": "installing"}, progress={_USED: line})
    (cell, _) = _row(section, "no Torch")
    assert f"<small>{shown}</small>" in cell
    assert "<small>installing" not in cell


@pytest.mark.parametrize(
    ("age_s", "shown"),
    [
        (-5, "just now"),
        (59, "just now"),
        (60, "1 min ago"),
        (3600, "1 h ago"),
        (86_399, "23 h ago"),
        (864_000, "10 d ago"),
    ],
)
def test_ages_take_few_characters(age_s: float, shown: str) -> None:
    assert short_age(age_s) == shown


def test_what_is_not_there_has_no_size() -> None:
    trees = {"g00001/python3.11": TreeUsage(4_900_000_000, 253_400_000)}
    assert "4.9 GB" not in _section({"python3.11": "missing"}, trees=trees)


def test_toolkits_are_listed_beside_the_grid() -> None:
    section = _section({"cuda12.4": "installing"})
    assert "<li class=installing><b>…</b> cuda12.4 <small>installing</small></li>" in section


def test_all_is_listed_where_the_definition_is_gone() -> None:
    section = _section(definitions={})
    assert "<table>" not in section
    assert section.count("<li class=ready>") == len(_DEFINITION.targets)


def test_only_so_many_reasons_are_shown_and_none_that_stands_elsewhere() -> None:
    states: dict[str, State] = {target.name: "failed" for target in _DEFINITION.targets}
    section = _section(states, "x" * 1000, explained={"g00001/cuda12.4"})
    assert section.count("failed<small>xxx") == len(_CELLS)
    assert "x" * 301 not in section
    assert "cuda12.4</b> failed" not in section


def test_the_rest_of_many_reasons_is_counted() -> None:
    targets = tuple(TargetReadiness(f"cuda{number}", "toolkit", "failed", "why") for number in range(25))
    found = GenerationReadiness("g00001", False, False, "", targets)
    section = generation_section(found, None, PageFacts())
    assert section.count("failed<small>why") == 20
    assert "and 5 more" in section


def test_the_heading_tells_what_is_ready_of_what_was_asked_for() -> None:
    section = _section({"python3.11": "left out", "cuda12.4": "missing"}, selection="--pool cpu")
    assert "sealed, latest · 6 of 7 ready, 1 left out (--pool cpu)" in section


def test_a_heading_has_room_for_the_beginning_of_many_patterns() -> None:
    section = _section({"python3.11": "left out"}, selection=f"--only {'<*> ' * 50}")
    assert "1 left out (--only &lt;*&gt; &lt;*&gt;" in section
    assert "…)" in section
    assert section.count("&lt;*&gt;") < 20


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (4_900_000_000, "4.9 GB"),
        (253_400_000, "253 MB"),
        (1_000, "1.0 kB"),
    ],
)
def test_sizes_take_few_characters(count: int, shown: str) -> None:
    assert short_size(count) == shown
