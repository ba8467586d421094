"""`tools:diff` compares what a node of each machine gets."""

import json
from dataclasses import replace
from pathlib import Path

import click.testing
import pytest

from gens.generation import Environment
from tests.index.server import LocalIndex
from tests.index.wheel import WheelSpec
from tests.update.workshop import PYTHONS, Workshop, generation, inputs, make_workshop
from tools.diff import main

pytest_plugins = ["tests.index.fixture"]


@pytest.fixture
def workshop(local_index: LocalIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """Make generation 0 for x86_64, and generation 1 with the same there and one for aarch64."""
    workshop = make_workshop(local_index, tmp_path, monkeypatch)
    for machine in ("x86_64", "aarch64"):
        local_index.add(WheelSpec("native", "1.0", platform_tag=f"manylinux_2_28_{machine}"))
    wanted = inputs("3.12", "native")
    cells = [
        Environment("3.12", PYTHONS["3.12"], replace(wanted, platform=f"{machine}-manylinux_2_28"))
        for machine in ("x86_64", "aarch64")
    ]
    both = replace(generation(1, *cells), further_platforms=("aarch64-manylinux_2_28",))
    workshop.define(generation(0, cells[0]), both)
    workshop.update("--min-gen-id", "0")
    return workshop


def _diff(workshop: Workshop, *arguments: str) -> str:
    command = [*arguments, "--definitions", str(workshop.definitions), "--locks", str(workshop.locks)]
    result = click.testing.CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    return result.output


def test_locks_are_compared_with_those_of_the_same_machine(workshop: Workshop) -> None:
    assert _diff(workshop, "0", "1") == (
        "g00000 → g00001, x86_64\n"
        "0 added, 0 removed, 1 in both, 1 of them unchanged\n"
        "g00000 → g00001, aarch64\n"
        "g00000 has nothing for it, the other 1 targets\n"
    )


def test_a_program_gets_each_machine_by_its_name(workshop: Workshop) -> None:
    machines = json.loads(_diff(workshop, "1", "0", "--json"))["machines"]
    assert machines["x86_64"]["unchanged"] == 1
    assert machines["aarch64"]["removed"] == ["python3.12"]
