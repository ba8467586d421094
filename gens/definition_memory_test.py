from pathlib import Path

import pytest

from gens import definition_memory
from gens.catalog import load_catalog
from gens.definition_memory import DefinitionMemory
from gens.errors import DefinitionError
from gens.generation import Generation, parse_generation
from tests.synthetic.catalog import PLATFORM, environment_cell, on_platform, write_catalog


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the names of the files that are parsed."""
    found: list[str] = []

    def note(content: str | bytes, path: Path) -> Generation:
        found.append(path.name)
        return parse_generation(content, path)

    monkeypatch.setattr(definition_memory, "parse_generation", note)
    return found


def test_a_file_that_did_not_change_is_not_parsed_again(tmp_path: Path, parsed: list[str]) -> None:
    write_catalog(tmp_path, {0: [environment_cell([])], 1: [environment_cell([], "2.4.1")]})
    memory = DefinitionMemory()
    first, second = (load_catalog(tmp_path, memory=memory) for _ in range(2))
    assert parsed == ["g00000.json", "g00001.json"]
    assert [a is b for a, b in zip(first.generations, second.generations, strict=True)] == [True, True]


def test_only_the_file_that_changed_is_parsed_again_whatever_its_times_are(
    tmp_path: Path, parsed: list[str]
) -> None:
    write_catalog(tmp_path, {0: [environment_cell([])], 1: [environment_cell([], "2.4.1")]})
    memory = DefinitionMemory()
    load_catalog(tmp_path, memory=memory)
    file = tmp_path / "g00001.json"
    text = file.read_text()
    file.write_text(text.replace("2.4.1", "2.5.1"))
    changed = load_catalog(tmp_path, memory=memory)
    assert parsed == ["g00000.json", "g00001.json", "g00001.json"]
    assert [cell.torch for cell in changed.generation(1).environments] == ["2.5.1"]
    assert changed == load_catalog(tmp_path)


def test_a_malformed_file_is_an_error_each_time(tmp_path: Path) -> None:
    write_catalog(tmp_path, {0: [environment_cell([])]})
    memory = DefinitionMemory()
    load_catalog(tmp_path, memory=memory)
    (tmp_path / "g00000.json").write_text("{")
    for _ in range(2):
        with pytest.raises(DefinitionError):
            load_catalog(tmp_path, memory=memory)


def test_the_part_of_a_machine_is_the_same_object_until_the_definition_changes(tmp_path: Path) -> None:
    cell = environment_cell([])
    write_catalog(tmp_path, {0: [cell, on_platform(cell)]})
    memory, machine = DefinitionMemory(), PLATFORM.partition("-")[0]
    first, second = (
        load_catalog(tmp_path, memory=memory).for_machine(machine, memory).generation(0) for _ in range(2)
    )
    assert first is second
    assert len(first.environments) == 1
    write_catalog(tmp_path, {0: [cell, environment_cell([], "2.4.1"), on_platform(cell)]})
    third = load_catalog(tmp_path, memory=memory).for_machine(machine, memory).generation(0)
    assert len(third.environments) == 2
    assert third == load_catalog(tmp_path).for_machine(machine).generation(0)


def test_a_file_that_is_gone_is_forgotten(tmp_path: Path, parsed: list[str]) -> None:
    write_catalog(tmp_path, {0: [environment_cell([])], 1: [environment_cell([], "2.4.1")]})
    memory = DefinitionMemory()
    load_catalog(tmp_path, memory=memory)
    content = (tmp_path / "g00001.json").read_bytes()
    (tmp_path / "g00001.json").unlink()
    load_catalog(tmp_path, memory=memory)
    (tmp_path / "g00001.json").write_bytes(content)
    load_catalog(tmp_path, memory=memory)
    assert parsed == ["g00000.json", "g00001.json", "g00001.json"]
