"""Pruning by the service: only when models can use what follows, and again when a lease has ended."""

from pathlib import Path

import pytest

from daemon.install.options import InstallOptions
from daemon.service import pruning as pruning_module
from daemon.service.pruning import Pruning
from daemon.upkeep.prune_plan import PrunePlan, PruneRules
from gens.selection import EVERYTHING
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.fake_service.fake_service import FakeService

_FROM_1 = InstallOptions(min_gen_id=1)


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.install(0)
    fake.define(1)
    return fake


def _prunes(fake: FakePrefix, monkeypatch: pytest.MonkeyPatch, plan: PrunePlan) -> list[int]:
    """Replace prunes by one with a plan; return the list of their lowest generations."""
    received: list[int] = []

    def prune(*arguments: object) -> PrunePlan:
        rules = arguments[3]
        assert isinstance(rules, PruneRules)
        assert (rules.old, rules.unselected, rules.selection) == (True, False, EVERYTHING)
        received.append(rules.min_gen_id)
        for name in plan.generations:
            fake.retire(int(name[1:]))
        return plan

    monkeypatch.setattr(pruning_module, "prune", prune)
    return received


def test_old_generations_stay_and_are_named_once_until_the_node_is_ready(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = FakeService(fake, _FROM_1, prune_old_gen=True)
    received = _prunes(fake, monkeypatch, PrunePlan())
    pruning = Pruning(service.context)
    pruning.prune()
    pruning.prune()
    assert received == []
    assert service.log == [
        "info: g00000: older than --min-gen-id, pruned when the active generations are ready"
    ]


def _ready(fake: FakePrefix, options: InstallOptions, **settings: bool) -> FakeService:
    fake.install(1)
    fake.point_latest(1)
    service = FakeService(fake, options, **settings)
    service.context.state.set_damage({})
    assert service.context.readiness().ready
    return service


def test_a_ready_node_is_pruned_once(fake: FakePrefix, monkeypatch: pytest.MonkeyPatch) -> None:
    service = _ready(fake, _FROM_1, prune_old_gen=True)
    service.context.is_counted = True
    received = _prunes(
        fake, monkeypatch, PrunePlan(generations=["g00000"], freed_bytes=7, incomplete="not all")
    )
    pruning = Pruning(service.context)
    pruning.prune()
    pruning.prune()
    assert received == [1]
    assert not service.context.is_counted
    assert service.log == ["warning: not all"]
    assert b"monobase_pruned_bytes_total 7.0" in service.context.metrics.exposition()


def test_a_leased_generation_is_pruned_after_its_lease_has_ended(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = _ready(fake, _FROM_1, prune_old_gen=True)
    received = _prunes(fake, monkeypatch, PrunePlan(kept={"g00000": "a model uses it"}))
    pruning = Pruning(service.context)
    with fake.lease(0):
        pruning.prune()
        pruning.prune()
        assert received == [1]
        assert service.log == ["info: g00000 is older than --min-gen-id and stays: a model uses it"]
    pruning.prune()
    assert received == [1, 1]


@pytest.mark.parametrize(
    ("options", "asked"), [(_FROM_1, False), (InstallOptions(), True)], ids=["not asked for", "no minimum"]
)
def test_nothing_is_pruned_that_nobody_asked_for(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch, options: InstallOptions, asked: bool
) -> None:
    service = _ready(fake, options, prune_old_gen=asked)
    received = _prunes(fake, monkeypatch, PrunePlan())
    Pruning(service.context).prune()
    assert received == []


def test_uv_s_cache_is_cleaned_once_if_that_was_asked_for(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleaned: list[object] = []
    monkeypatch.setattr(pruning_module, "clean_uv_cache", lambda *arguments: cleaned.append(arguments[0]))
    Pruning(FakeService(fake).context).clean()
    assert cleaned == []
    pruning = Pruning(FakeService(fake, clean_uv_cache=True).context)
    pruning.clean()
    pruning.clean()
    assert cleaned == [fake.prefix]
