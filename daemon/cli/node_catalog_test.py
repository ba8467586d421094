"""The definitions of a node."""

import platform
from pathlib import Path

import pytest

from daemon.cli.node_catalog import NodeCatalog
from gens.errors import DefinitionError
from tests.synthetic.catalog import environment_cell, on_platform, stack_cell, write_catalog


@pytest.fixture
def gens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    plain = environment_cell([])
    stack = stack_cell(environment_cell([], "2.14.0", "cu130"), "vllm", "0.33.0")
    both = [plain, stack, on_platform(plain)]
    return write_catalog(tmp_path / "gens", {0: [plain], 1: [plain], 2: both})


def test_a_node_sees_what_is_for_its_machine_and_says_once_what_is_left_out(gens: Path) -> None:
    said: list[str] = []
    node = NodeCatalog(gens, said.append)
    for _ in range(2):
        catalog = node.load()
        assert [item.id for item in catalog.generations] == [2]
        assert [target.inputs.machine for target in catalog.generation(2).targets] == ["aarch64"]
    assert said == ["left out, as they have nothing for aarch64: g00000, g00001"]
    write_catalog(gens, {3: [environment_cell([])]})
    node.load()
    assert said[1:] == ["left out, as they have nothing for aarch64: g00000, g00001, g00003"]


def test_the_other_machine_sees_all_of_its_own(gens: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    said: list[str] = []
    catalog = NodeCatalog(gens, said.append).load()
    assert [len(item.targets) for item in catalog.generations] == [1, 1, 2]
    assert said == []


def test_a_range_without_anything_for_the_machine_is_refused_with_what_there_is(gens: Path) -> None:
    with pytest.raises(DefinitionError, match=r"g00001 is for x86_64, not for aarch64; .* there are 2$"):
        NodeCatalog(gens).load().between(None, 1)
