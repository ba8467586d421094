"""The batches of an install."""

from pathlib import Path

from daemon.install.batches import make_batches
from daemon.install.wanted import Wanted
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.synthetic.catalog import Cell, environment_cell, stack_cell, toolkit_cell


def _wanted(fake: FakePrefix, number: int, *cells: Cell) -> list[Wanted]:
    generation = fake.define(number, *cells)
    return [
        Wanted(generation, target, fake.catalog.lock(generation, target)) for target in generation.targets
    ]


def test_a_batch_is_what_shares_a_build_of_torch_and_toolkits_come_last(tmp_path: Path) -> None:
    fake = FakePrefix(tmp_path)
    alpha = [fake.wheel("alpha")]
    old = _wanted(fake, 0, toolkit_cell(alpha, "12.4.1"), environment_cell(alpha))
    new = _wanted(
        fake,
        1,
        environment_cell(alpha, "2.4.1", "cu121", python="3.10.1"),
        environment_cell(alpha, "2.4.1", "cu124"),
        environment_cell(alpha, "2.4.1", "cu121"),
        stack_cell(environment_cell(alpha, "2.4.1", "cu121"), "train"),
        toolkit_cell(alpha, "12.4.1"),
        toolkit_cell(alpha, "9.1.0.70", "12"),
    )
    labels = [[item.label for item in batch] for batch in make_batches([*new, *old])]
    python = fake.environment
    assert labels == [
        ["g00001/python3.10-torch2.4.1-cu121", f"g00001/{python}-torch2.4.1-cu121"],
        [f"g00001/{python}-torch2.4.1-cu124"],
        [f"g00001/{python}-train"],
        ["g00001/cuda12.4"],
        ["g00001/cudnn9-cuda12"],
        [f"g00000/{python}"],
        ["g00000/cuda12.4"],
    ]


def test_nothing_is_no_batch() -> None:
    assert make_batches([]) == []
