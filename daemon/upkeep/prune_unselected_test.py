"""Pruning of what is no longer selected of active generations; uv is a program that does nothing."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from daemon.prefix.environments_file import read_list, read_targets
from daemon.prefix.generation import is_sealed, newer_format, published_names
from daemon.prefix.latest import latest_name
from daemon.prefix.prefix import Prefix
from daemon.report.progress import Reporter
from daemon.upkeep import prune as module
from daemon.upkeep import prune_plan
from daemon.upkeep.prune import prune
from daemon.upkeep.prune_plan import PrunePlan, PruneRules, plan_prune
from daemon.upkeep.verify import verify
from gens.errors import DefinitionError
from gens.selection import Selection
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.synthetic.catalog import PYTHON, environment_cell, toolkit_cell

_PLAIN = f"python{PYTHON}"
_TORCH = f"{_PLAIN}-torch2.4.1-cpu"
_CUDA = "cuda12.4"
_ONLY_TORCH = Selection((_TORCH,))


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    """A prefix with a sealed generation: two environments, each with a wheel of its own, and a toolkit."""
    fake = FakePrefix(tmp_path)
    plain, torch = (fake.wheel(name, files={f"{name}.py": name.encode() * 9000}) for name in ("a", "b"))
    cublas = fake.wheel("nvidia-cublas-cu12", "12.4.5.8", files={"nvidia/cublas/lib/x.so": b"x" * 9000})
    cells = environment_cell([plain]), environment_cell([torch], "2.4.1"), toolkit_cell([cublas], "12.4.1")
    fake.install(0, *cells)
    fake.point_latest(0)
    return fake


def _rules(selection: Selection = _ONLY_TORCH) -> PruneRules:
    return PruneRules(0, selection=selection, unselected=True)


def _prune(fake: FakePrefix, rules: PruneRules) -> PrunePlan:
    return prune(fake.prefix, fake.catalog, Path("/bin/true"), rules, Reporter(), 0)


def _differences(fake: FakePrefix) -> list[str]:
    return [str(item) for item in verify(fake.prefix, ["g00000"], 1, stores=True).findings]


def test_what_is_not_selected_goes_with_all_that_only_it_used(fake: FakePrefix) -> None:
    inode = fake.prefix.target("g00000", _TORCH).stat().st_ino
    planned = plan_prune(fake.prefix, fake.catalog, _rules())
    plan = _prune(fake, _rules())
    assert plan.unselected == planned.unselected == [f"g00000/{_PLAIN}", f"g00000/{_CUDA}"]
    assert (plan.freed_bytes, plan.freed_inodes) == (planned.freed_bytes, planned.freed_inodes)
    assert plan.freed_bytes > 18_000
    assert (plan.toolkits, sorted(plan.wheels)) == (["cuda-12.4.1"], ["a", "nvidia-cublas-cu12"])
    assert published_names(fake.prefix, "g00000") == {_TORCH}
    assert fake.prefix.target("g00000", _TORCH).stat().st_ino == inode
    assert is_sealed(fake.prefix, fake.generation(0), {_TORCH})
    assert not is_sealed(fake.prefix, fake.generation(0))
    lines = read_list(fake.prefix, "g00000").splitlines()
    assert [line for line in lines if line.startswith(("generation", "selection", "left-out"))] == [
        "generation g00000 selected",
        f"selection --only {_TORCH}",
        f"left-out {_PLAIN}",
        f"left-out {_CUDA}",
    ]
    assert {item.name for item in read_targets(fake.prefix, "g00000") if item.ready} == {_TORCH}
    assert latest_name(fake.prefix) == "g00000"
    assert not fake.prefix.staging.exists()
    assert _differences(fake) == []
    assert _prune(fake, _rules()).empty


@pytest.mark.parametrize("rules", [PruneRules(0, selection=_ONLY_TORCH), _rules(Selection())])
def test_nothing_goes_that_nobody_asked_for(fake: FakePrefix, rules: PruneRules) -> None:
    assert _prune(fake, rules).empty
    assert published_names(fake.prefix, "g00000") == {_PLAIN, _TORCH, _CUDA}
    assert is_sealed(fake.prefix, fake.generation(0))


def test_a_selection_that_matches_nothing_removes_nothing(fake: FakePrefix) -> None:
    with pytest.raises(DefinitionError, match="matches nothing"):
        _prune(fake, _rules(Selection(("pyhton*",))))
    assert published_names(fake.prefix, "g00000") == {_PLAIN, _TORCH, _CUDA}


@pytest.mark.parametrize(
    ("leased", "left"),
    [("", {_PLAIN, _TORCH, _CUDA}), (_PLAIN, {_PLAIN, _TORCH, _CUDA}), (_TORCH, {_TORCH, _CUDA})],
)
def test_what_a_model_may_use_stays(fake: FakePrefix, leased: str, left: set[str]) -> None:
    """A toolkit has no lease of its own, so each lease in its generation keeps it."""
    with ExitStack() as stack:
        stack.enter_context(fake.lease(0, leased))
        plan = _prune(fake, _rules())
    assert published_names(fake.prefix, "g00000") == left
    assert plan.kept.keys() == {f"g00000/{name}" for name in left - {_TORCH}}
    assert all("a model has leased it" in reason for reason in plan.kept.values())
    assert _differences(fake) == []
    _prune(fake, _rules())
    assert published_names(fake.prefix, "g00000") == {_TORCH}


def test_a_lease_that_comes_after_the_plan_keeps_its_environment(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:

        def fault_point(point: str) -> None:
            if point == "prune:renamed":
                stack.enter_context(fake.lease(0, _PLAIN))

        monkeypatch.setattr(module, "fault_point", fault_point)
        plan = _prune(fake, _rules())
        assert plan.unselected == []
        assert plan.kept.keys() == {f"g00000/{_PLAIN}", f"g00000/{_CUDA}"}
        assert published_names(fake.prefix, "g00000") == {_PLAIN, _TORCH, _CUDA}
    assert _differences(fake) == []


def test_nothing_goes_before_all_that_is_selected_is_there(fake: FakePrefix) -> None:
    more = f"{_PLAIN}-torch2.5.1-cpu"
    wheels = [fake.wheel("c")]
    cells = environment_cell(wheels), environment_cell(wheels, "2.5.1")
    fake.define(1, *cells)
    fake.publish(1, _PLAIN)
    plan = _prune(fake, _rules(Selection((_TORCH, more))))
    assert plan.kept == {f"g00001/{_PLAIN}": "not all that is selected of g00001 is installed yet"}
    assert published_names(fake.prefix, "g00001") == {_PLAIN}


def test_a_generation_of_which_nothing_is_selected_goes_as_a_whole(fake: FakePrefix) -> None:
    fake.install(1, environment_cell([fake.wheel("c")], "2.5.1"))
    fake.point_latest(0)
    plan = _prune(fake, _rules())
    assert plan.generations == ["g00001"]
    assert fake.prefix.installed_generations() == ["g00000"]


def test_a_generation_of_which_nothing_is_selected_stays_while_latest_names_it(fake: FakePrefix) -> None:
    fake.install(1, environment_cell([fake.wheel("c")], "2.5.1"))
    fake.point_latest(1)
    plan = _prune(fake, _rules())
    assert plan.kept["g00001"] == "`latest` names it"
    assert "g00001" in fake.prefix.installed_generations()


def test_the_manifests_of_a_generation_are_read_once_however_much_of_it_goes(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def note(prefix: Prefix, name: str) -> str:
        read.append(name)
        return newer_format(prefix, name)

    monkeypatch.setattr(prune_plan, "newer_format", note)
    plan = plan_prune(fake.prefix, fake.catalog, _rules())
    assert len(plan.unselected) == 2
    assert read == ["g00000"]
