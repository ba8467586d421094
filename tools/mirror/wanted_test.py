"""The locks and wheels that the options name, on generations of several machines and indexes."""

from pathlib import Path

import pytest

from gens.catalog import Catalog, load_catalog
from gens.errors import DefinitionError
from gens.selection import Selection
from tests.index.wheel import WheelSpec, write_wheel
from tests.synthetic.catalog import environment_cell, on_platform, write_catalog
from tools.mirror.wanted import Request, read_wanted

INDEX = "https://x.example/whl/cpu"


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    small = write_wheel(WheelSpec("small", "1.0", files={"small.py": b""}), tmp_path)
    torch = write_wheel(WheelSpec("torch", "2.4.1+cpu", files={"torch.py": bytes(10_000)}), tmp_path)
    plain = environment_cell([small])
    other = environment_cell([small, torch], "2.4.1", index_url=INDEX, index_packages=["torch"])
    return load_catalog(write_catalog(tmp_path / "gens", {0: [plain], 2: [plain, other, on_platform(other)]}))


def test_each_wheel_is_wanted_once_with_all_its_locks_the_largest_first(catalog: Catalog) -> None:
    wanted = read_wanted(catalog, Request((0, 2)))
    assert [item.project for item in wanted.items] == ["torch", "small"]
    assert wanted.items[0].users == (
        "g00002-python3.11-torch2.4.1-cpu", "g00002-python3.11-torch2.4.1-cpu-aarch64",
    )  # fmt: skip
    assert len(wanted.items[1].users) == 4
    assert wanted.generations == (0, 2)
    assert {machine for _, machine in wanted.pythons} == {"x86_64", "aarch64"}


def test_the_index_that_a_wheel_was_resolved_from_is_asked_first(catalog: Catalog) -> None:
    torch, small = read_wanted(catalog, Request((2,))).items
    assert torch.indexes == (INDEX, "")
    assert small.indexes == ("", INDEX)


def test_ranges_and_single_generations_add_up(catalog: Catalog) -> None:
    assert read_wanted(catalog, Request((0,), min_gen_id=1)).generations == (0, 2)
    assert read_wanted(catalog, Request((), max_gen_id=1)).generations == (0,)


def test_a_machine_and_a_pattern_leave_the_rest_out(catalog: Catalog) -> None:
    wanted = read_wanted(catalog, Request((2,), selection=Selection(("*torch*",)), machines=("aarch64",)))
    assert [config.tag for config in wanted.configs] == ["g00002-python3.11-torch2.4.1-cpu-aarch64"]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Request((1,)), "there is no generation 1"),
        (Request((2,), selection=Selection(("python2*",))), "matches nothing"),
        (Request((2,), machines=("riscv64",)), "name one"),
        (Request((2,), selection=Selection(("python3.11",)), machines=("aarch64",)), "selects nothing"),
        (Request((2,), selection=Selection(pool="h100")), "there is no pool h100"),
    ],
)
def test_what_does_not_exist_is_refused(catalog: Catalog, request_: Request, said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        read_wanted(catalog, request_)
