"""The patterns that select environments and toolkits, of `--only` and of pools."""

import pytest

from gens import selection as module
from gens.errors import DefinitionError
from gens.generation import Environment, Generation, Inputs, Toolkit
from gens.selection import EVERYTHING, Selection, unmatched

_INPUTS = Inputs("3.11.10", "x86_64-manylinux_2_28", "2026-11-01T00:00:00Z", ())
_GENERATION = Generation(
    id=3,
    platform=_INPUTS.platform,
    exclude_newer=_INPUTS.exclude_newer,
    python={"3.11": "3.11.10"},
    environments=(Environment("3.11", "3.11.10", _INPUTS),),
    toolkits=(Toolkit("cudnn", "9", "9.1.0.70", _INPUTS, "12"),),
)


@pytest.mark.parametrize(
    ("patterns", "selected"),
    [
        ((), True),
        (("*cuda12",), True),
        (("python*", "cudnn9-*"), True),
        (("CUDNN*",), False),
        (("cudnn",), False),
    ],
)
def test_a_name_is_selected_by_one_of_the_patterns_or_by_none_at_all(
    patterns: tuple[str, ...], selected: bool
) -> None:
    assert Selection(patterns).has("cudnn9-cuda12") == selected


def test_a_selection_is_a_part_of_each_generation() -> None:
    part = Selection(("python*",))
    assert [target.name for target in part.targets(_GENERATION)] == ["python3.11"]
    assert part.required(_GENERATION) == {"python3.11"}
    assert EVERYTHING.required(_GENERATION) == {"python3.11", "cudnn9-cuda12"}
    assert EVERYTHING.is_all
    assert not part.is_all


def test_what_is_not_eager_is_selected_and_not_required() -> None:
    on_demand = Selection(eager=())
    assert on_demand.has("python3.11")
    assert on_demand.required(_GENERATION) == set()
    assert Selection(eager=("python*",)).required(_GENERATION) == {"python3.11"}
    assert Selection(("cudnn*",), eager=("*",)).required(_GENERATION) == {"cudnn9-cuda12"}
    with pytest.raises(DefinitionError, match=r"^--eager pyhton\* matches nothing; there are: python3.11"):
        Selection(eager=("pyhton*",)).check([_GENERATION])


def test_what_is_eager_and_not_selected_is_refused_and_of_a_pool_only_if_all_of_it_is() -> None:
    message = r"^--eager python\* names nothing that --only cudnn\* selects, .*; selected are: cudnn9-cuda12$"
    with pytest.raises(DefinitionError, match=message):
        Selection(("cudnn*",), eager=("cudnn9*", "python*")).check([_GENERATION])
    Selection(("cudnn*",), "small", ("cudnn9*", "python*")).check([_GENERATION])
    with pytest.raises(DefinitionError, match=r"^--eager python\* names nothing that --pool small selects"):
        Selection(("cudnn*",), "small", ("python*",)).check([_GENERATION])


@pytest.mark.parametrize(
    ("selection", "option"),
    [
        (EVERYTHING, ""),
        (Selection(("python*", "cuda12.4")), "--only python* cuda12.4"),
        (Selection(("python*",), "h100"), "--pool h100"),
    ],
)
def test_a_selection_is_told_by_its_option(selection: Selection, option: str) -> None:
    assert selection.option == option
    assert Selection.of_option(option).option == option


def test_a_pool_whose_patterns_are_not_known_selects_neither_all_nor_nothing() -> None:
    with pytest.raises(ValueError, match="the patterns of the pool h100 are not known"):
        Selection(pool="h100").has("python3.11")
    assert not Selection(pool="h100").is_all


def test_each_pattern_must_match_something(monkeypatch: pytest.MonkeyPatch) -> None:
    Selection(("cudnn*", "python3.11")).check([_GENERATION])
    EVERYTHING.check([_GENERATION])
    with pytest.raises(DefinitionError, match=r"^--only cuddn9 matches .*; there are: cudnn9-cuda12, python"):
        Selection(("python*", "cuddn9")).check([_GENERATION])
    monkeypatch.setattr(module, "_NAMED", 1)
    with pytest.raises(DefinitionError, match=r"matches nothing; there are: cudnn9-cuda12 and 1 more$"):
        Selection(("cuddn9",)).check([_GENERATION])


def test_a_pool_may_name_what_other_generations_have_and_must_select_something() -> None:
    Selection(("cudnn*", "cuda13*"), "h100").check([_GENERATION])
    with pytest.raises(DefinitionError, match=r"--pool h100 selects nothing of the active .*: cuda13"):
        Selection(("cuda13*",), "h100").check([_GENERATION])


def test_the_patterns_that_match_nothing_are_named() -> None:
    assert unmatched(["cuda*", "python*", "*"], ["python3.11"]) == ["cuda*"]
