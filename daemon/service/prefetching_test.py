"""The service records imports when it is told to, and looks at an environment once."""

from pathlib import Path

import pytest

from daemon.service.demand import Demand
from daemon.service.prefetching import Prefetching
from daemon.upkeep import prefetch_record
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.fake_service.fake_service import FakeService
from tests.synthetic.catalog import PYTHON, environment_cell

NAME = f"python{PYTHON}-torch2.4.1-cu121"


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    torch = fake.wheel("torch", "2.4.1", files={"torch/__init__.py": b"NAME = 'torch'\n"})
    fake.install(0, environment_cell([torch], "2.4.1", "cu121"))
    return fake


@pytest.fixture
def imports(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make each import fail; return what is imported."""
    done: list[str] = []

    def run_import(executable: Path, _folder: Path, _modules: object) -> tuple[list[object], dict[str, str]]:
        done.append(executable.parents[1].name)
        return [], {"torch": "ImportError: no"}

    monkeypatch.setattr(prefetch_record, "run_import", run_import)
    monkeypatch.setattr(prefetch_record, "free_memory_bytes", lambda: 2_000_000_000)
    return done


def prefetching(fake: FakePrefix, mode: str) -> Prefetching:
    context = FakeService(fake, prefetch=mode).context
    return Prefetching(context, Demand(context))


def test_nothing_is_imported_unless_it_is_told_to(fake: FakePrefix, imports: list[str]) -> None:
    prefetching(fake, "off").record()
    assert imports == []


def test_an_import_that_fails_is_not_tried_again_before_the_environment_is_replaced(
    fake: FakePrefix, imports: list[str]
) -> None:
    part = prefetching(fake, "record")
    part.record()
    part.record()
    assert imports == [NAME]
    tree = fake.prefix.target("g00000", NAME)
    (tree / "new").touch()
    part.record()
    assert imports == [NAME, NAME]


def test_what_had_too_little_memory_is_tried_again(
    fake: FakePrefix, imports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    part = prefetching(fake, "record")
    monkeypatch.setattr(prefetch_record, "free_memory_bytes", lambda: 0)
    part.record()
    assert imports == []
    monkeypatch.setattr(prefetch_record, "free_memory_bytes", lambda: 2_000_000_000)
    part.record()
    assert imports == [NAME]


def test_a_model_that_waits_comes_first(
    fake: FakePrefix, imports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Demand, "is_due", lambda _: True)
    prefetching(fake, "record").record()
    assert imports == []
