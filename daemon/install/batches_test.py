"""The batches of an install."""

from pathlib import Path

from daemon.install.batches import make_batches, make_steps
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


def _steps(batch: list[Wanted], missing: dict[str, int]) -> list[list[str]]:
    return [[item.target.name for item in step] for step in make_steps(batch, missing)]


def test_what_needs_no_download_comes_first_and_each_large_environment_is_a_step(tmp_path: Path) -> None:
    fake = FakePrefix(tmp_path)
    one, two, held = fake.wheel("one"), fake.wheel("two"), fake.wheel("held")
    batch = _wanted(
        fake,
        0,
        environment_cell([one], "2.4.1"),
        environment_cell([one, two], "2.5.1"),
        environment_cell([held], "2.6.0"),
    )
    python = fake.environment
    large = 1_000_000_000
    assert _steps(batch, {one.sha256: large, two.sha256: large}) == [
        [f"{python}-torch2.6.0-cpu"],
        [f"{python}-torch2.4.1-cpu"],
        [f"{python}-torch2.5.1-cpu"],
    ]


def test_what_an_earlier_step_downloads_counts_once_and_small_environments_share_a_step(
    tmp_path: Path,
) -> None:
    fake = FakePrefix(tmp_path)
    large, small = fake.wheel("large"), fake.wheel("small")
    batch = _wanted(
        fake,
        0,
        environment_cell([small], "2.4.1"),
        environment_cell([large], "2.5.1"),
        environment_cell([large, small], "2.6.0"),
    )
    python = fake.environment
    assert _steps(batch, {large.sha256: 1_000_000_000, small.sha256: 1000}) == [
        [f"{python}-torch2.4.1-cpu"],
        [f"{python}-torch2.5.1-cpu", f"{python}-torch2.6.0-cpu"],
    ]
