"""The patterns that select environments and toolkits."""

from pathlib import Path

import pytest

from daemon.install import selection
from daemon.install.selection import check_patterns, is_selected
from gens.errors import DefinitionError
from gens.generation import Generation
from tests.fake_prefix.fake_prefix import FakePrefix


@pytest.fixture
def generation(tmp_path: Path) -> Generation:
    return FakePrefix(tmp_path).define(0)


@pytest.mark.parametrize(
    ("only", "selected"),
    [
        ((), True),
        (("*cuda12",), True),
        (("python*", "cudnn9-*"), True),
        (("CUDNN*",), False),
        (("cudnn",), False),
    ],
)
def test_a_name_is_selected_by_one_of_the_patterns_or_by_none_at_all(
    only: tuple[str, ...], selected: bool
) -> None:
    assert is_selected("cudnn9-cuda12", only) == selected


def test_patterns_of_which_one_matches_are_accepted(generation: Generation) -> None:
    check_patterns([generation], ["nothing", "cudnn*"])
    check_patterns([generation], [])


def test_patterns_that_match_nothing_are_refused_with_the_nearest_names(
    generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DefinitionError, match=r"--only cuddn9 .*; there are: cudnn9-cuda12, python"):
        check_patterns([generation], ["cuddn9"])
    monkeypatch.setattr(selection, "_NAMED", 1)
    with pytest.raises(DefinitionError, match=r"matches nothing; there are: cudnn9-cuda12 and 1 more$"):
        check_patterns([generation], ["cuddn9"])
