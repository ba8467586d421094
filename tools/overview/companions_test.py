"""The versions of Torch's companions that definitions name."""

from gens.generation import Environment, Inputs
from tools.overview.companions import companion, pinned


def _cell(python: str, *requirements: str) -> Environment:
    inputs = Inputs(f"{python}.1", "x86_64-manylinux_2_28", "2026-11-01T00:00:00Z", requirements)
    return Environment(python, f"{python}.1", inputs, "2.4.1", "cu121", "12.1")


def test_the_version_is_that_of_the_requirement_without_the_build() -> None:
    cell = _cell("3.11", "pip", "torch==2.4.1+cu118", "torchvision==0.19.1+cu118")
    assert pinned(cell, "torchvision") == "0.19.1"
    assert pinned(cell, "torchaudio") is None


def test_a_companion_that_some_pythons_lack_is_shown_with_them() -> None:
    cells = [_cell("3.12"), _cell("3.11", "torchvision==0.19.1"), _cell("3.13")]
    assert companion(cells, "torchvision") == "0.19.1 (not 3.12, 3.13)"
    assert companion(cells[1:2], "torchvision") == "0.19.1"
    assert companion(cells, "torchaudio") == "-"


def test_different_versions_are_all_shown() -> None:
    cells = [_cell("3.11", "torchvision==0.19.1"), _cell("3.12", "torchvision==0.20.0")]
    assert companion(cells, "torchvision") == "0.19.1, 0.20.0"
