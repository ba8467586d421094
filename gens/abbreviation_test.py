"""Abbreviations of names: which parts they may leave out."""

import pytest

from gens.abbreviation import abbreviates

_NAME = "python3.12-torch2.13.0-cu130"


@pytest.mark.parametrize(
    "asked",
    [_NAME, "python3.12", "3.12", "torch", "torch2", "torch2.13", "cu130", "3.12-cu130", "3-torch2.13"],
)
def test_parts_at_the_end_of_a_number_or_a_word_will_do(asked: str) -> None:
    assert abbreviates(asked, _NAME)


@pytest.mark.parametrize(
    "asked",
    ["", "-", "*", "3.1", "tor", "torch2.1", "torch2.130", "cu13", "3.12--cu130", "3.12-torch2.14"],
)
def test_parts_of_numbers_and_of_words_do_not(asked: str) -> None:
    assert not abbreviates(asked, _NAME)
