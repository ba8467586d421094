"""The plan of an install: the missing environments and toolkits, and the room for them."""

import dataclasses
import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon.errors import DamageError, DiskError
from daemon.install import plan as plan_module
from daemon.install.plan import GenerationPlan, Plan, check_room, make_plan, needed_bytes
from daemon.install.wanted import Wanted
from daemon.prefix import disk_budget
from daemon.prefix.disk_budget import Amount, DiskBudget
from daemon.prefix.generation import definition_digest, is_sealed
from daemon.prefix.mark import Mark, write_mark
from daemon.prefix.prefix import Prefix
from gens.catalog import Catalog, load_catalog
from gens.errors import DefinitionError
from gens.selection import Selection
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.index.wheel import Wheel, WheelSpec, write_wheel
from tests.synthetic.catalog import PYTHON, environment_cell, toolkit_cell, write_catalog


def _wheel(tmp_path: Path, name: str, version: str = "1.0") -> Wheel:
    return write_wheel(WheelSpec(name, version, files={f"{name}.py": b""}), tmp_path / "wheels")


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    alpha, beta = _wheel(tmp_path, "alpha"), _wheel(tmp_path, "beta")
    cells = [
        environment_cell([alpha]),
        environment_cell([alpha, beta], "2.4.1"),
        toolkit_cell([beta], "12.4.1"),
    ]
    return load_catalog(write_catalog(tmp_path / "gens", {0: cells, 1: cells[:2], 2: cells[:1]}))


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    prefix = Prefix(tmp_path / "prefix")
    prefix.make_directories()
    return prefix


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    return FakePrefix(tmp_path)


def test_everything_is_wanted_on_an_empty_prefix_newest_generation_first(
    prefix: Prefix, catalog: Catalog
) -> None:
    plan = make_plan(prefix, catalog)
    assert [wanted.label for wanted in plan.wanted] == [
        f"g00002/python{PYTHON}",
        f"g00001/python{PYTHON}",
        f"g00001/python{PYTHON}-torch2.4.1-cpu",
        f"g00000/python{PYTHON}",
        f"g00000/python{PYTHON}-torch2.4.1-cpu",
        "g00000/cuda12.4",
    ]


def test_each_distinct_wheel_is_fetched_once(prefix: Prefix, catalog: Catalog) -> None:
    plan = make_plan(prefix, catalog)
    assert sorted(item.wheel.name for item in plan.fetch) == ["alpha", "beta"]
    assert plan.fetch_bytes == sum(item.wheel.size_bytes for item in plan.fetch)


def test_the_range_and_the_patterns_bound_what_is_wanted(prefix: Prefix, catalog: Catalog) -> None:
    plan = make_plan(prefix, catalog, min_gen_id=1, max_gen_id=1, selection=Selection(("*torch*",)))
    assert [wanted.label for wanted in plan.wanted] == [f"g00001/python{PYTHON}-torch2.4.1-cpu"]
    assert plan.generations[0].left_out == (f"python{PYTHON}",)


def test_only_what_is_due_is_wanted_of_the_selected(prefix: Prefix, catalog: Catalog) -> None:
    plain, torch = f"python{PYTHON}", f"python{PYTHON}-torch2.4.1-cpu"
    selection = Selection(("python*",))
    plan = make_plan(prefix, catalog, max_gen_id=0, selection=selection, due=(torch, "cuda12.4"))
    assert [wanted.label for wanted in plan.wanted] == [f"g00000/{torch}"]
    assert plan.generations[0].left_out == (plain, "cuda12.4")


def test_a_pool_that_is_not_defined_is_an_error(prefix: Prefix, catalog: Catalog) -> None:
    with pytest.raises(DefinitionError, match="there is no pool h100; there are none"):
        make_plan(prefix, catalog, selection=Selection(pool="h100"))


def _huge(catalog: Catalog, *, disk_bytes: int = 0, disk_inodes: int = 0) -> Plan:
    generation = catalog.generations[2]
    target = generation.targets[0]
    wanted = Wanted(generation, target, catalog.lock(generation, target))
    return Plan((GenerationPlan(generation, sealed=False, wanted=(wanted,)),), (), disk_bytes, disk_inodes)


def test_a_disk_that_is_too_small_is_refused_with_both_figures(prefix: Prefix, catalog: Catalog) -> None:
    with pytest.raises(DiskError, match=r"about 1,000,000,000,000,000 bytes are needed .* [0-9,]+ are free"):
        check_room(prefix, _huge(catalog, disk_bytes=10**15), copy=False)


def test_a_disk_with_too_few_inodes_is_refused_with_both_figures(prefix: Prefix, catalog: Catalog) -> None:
    with pytest.raises(DiskError, match=r"about 1,000,000,000,000,000 inodes are needed .* [0-9,]+ are free"):
        check_room(prefix, _huge(catalog, disk_inodes=10**15), copy=False)


def test_nothing_to_do_needs_no_room(prefix: Prefix) -> None:
    check_room(prefix, Plan((), (), 10**15, 10**15), copy=False)


def test_without_hard_links_each_environment_takes_its_full_size(
    prefix: Prefix, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = os.statvfs(prefix.root)
    plan = _huge(catalog, disk_bytes=room.f_bavail * room.f_frsize - 1)
    monkeypatch.setattr(os, "statvfs", lambda _: room)
    check_room(prefix, plan, copy=False)
    with pytest.raises(DiskError, match="bytes are needed"):
        check_room(prefix, plan, copy=True)
    sizes = sum(wheel.size_bytes for wanted in plan.wanted for wheel in wanted.lock.wheels)
    assert needed_bytes(plan, copy=False) == plan.disk_bytes
    assert needed_bytes(plan, copy=True) == plan.disk_bytes + int(1.9 * sizes)


@pytest.mark.parametrize(
    ("need_bytes", "limit_bytes", "said"),
    [
        (2_000, 10_000, "1,000 are free; make room on the disk, or install less"),
        (900, 800, r"of 800 \(--disk-budget x\) are in use; raise the budget or make room with `evict`, or"),
        (
            2_000,
            800,
            r"1,000 are free and 500 of 800 \(.*\) are in use; make room on the disk, and raise the",
        ),
        (900, 10_000, ""),
    ],
)
def test_a_refusal_names_the_disk_the_budget_or_both_whichever_is_short(
    prefix: Prefix,
    catalog: Catalog,
    monkeypatch: pytest.MonkeyPatch,
    need_bytes: int,
    limit_bytes: int,
    said: str,
) -> None:
    room = SimpleNamespace(f_bavail=1_000, f_frsize=1, f_files=0, f_blocks=9_000)
    monkeypatch.setattr(os, "statvfs", lambda _: room)
    monkeypatch.setattr(disk_budget, "disk_bytes", lambda _: 500)
    plan, budget = _huge(catalog, disk_bytes=need_bytes), DiskBudget(Amount("x", limit_bytes))
    if not said:
        check_room(prefix, plan, copy=False, budget=budget)
    else:
        with pytest.raises(DiskError, match=said):
            check_room(prefix, plan, copy=False, budget=budget)


def test_a_sealed_generation_wants_nothing(fake: FakePrefix) -> None:
    fake.install(0)
    (plan,) = make_plan(fake.prefix, fake.catalog).generations
    assert (plan.sealed, plan.wanted, plan.present) == (True, (), ())


def test_of_a_published_generation_the_rest_is_wanted(fake: FakePrefix) -> None:
    fake.define(0)
    fake.publish(0, fake.environment)
    (plan,) = make_plan(fake.prefix, fake.catalog).generations
    assert plan.present == (fake.environment,)
    assert [wanted.target.name for wanted in plan.wanted] == [fake.toolkit]


def test_a_lock_that_cannot_be_read_keeps_only_its_target_out(fake: FakePrefix) -> None:
    fake.define(0)
    (lock,) = (fake.directory / "gens").rglob(f"{fake.toolkit}.txt")
    lock.write_text("no lock\n")
    plan = make_plan(fake.prefix, fake.catalog)
    assert [wanted.target.name for wanted in plan.wanted] == [fake.environment]
    assert list(plan.failures) == [f"g00000/{fake.toolkit}"]
    assert plan.generations[0].can_be_sealed


def test_a_generation_whose_folder_is_a_link_is_left_alone(fake: FakePrefix, tmp_path: Path) -> None:
    fake.define(0)
    fake.define(1)
    fake.prefix.generation("g00000").symlink_to(tmp_path)
    plan = make_plan(fake.prefix, fake.catalog)
    assert {wanted.generation.id for wanted in plan.wanted} == {1}
    assert "is a link, where a folder should be" in str(plan.failures["g00000"])
    assert [item.can_be_sealed for item in plan.generations] == [True, False]


def test_a_generation_that_the_disk_does_not_give_back_is_left_alone(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bool:
        raise OSError(errno.EIO, os.strerror(errno.EIO), "/prefix/g00000/.done")

    fake.define(0)
    monkeypatch.setattr(plan_module, "is_sealed", fail)
    plan = make_plan(fake.prefix, fake.catalog)
    assert str(plan.failures["g00000"]) == (
        "/prefix/g00000/.done: cannot be read: Input/output error; look at the disk"
    )


def test_a_seal_of_another_definition_is_damage(prefix: Prefix, catalog: Catalog) -> None:
    generation = catalog.generations[0]
    mark = prefix.sealed_mark(generation.directory_name)
    mark.parent.mkdir()
    sealed = Mark(generation=0, definition="sha256:other", environments="0" * 64, manifests={})
    write_mark(mark, sealed)
    with pytest.raises(DamageError, match="a generation never changes"):
        is_sealed(prefix, generation)
    write_mark(mark, dataclasses.replace(sealed, definition=definition_digest(generation)))
    assert is_sealed(prefix, generation)
    mark.write_text("{")
    with pytest.raises(DamageError, match=r"\.done: is damaged"):
        is_sealed(prefix, generation)
