"""Recording imports: each installed environment once, and again when it was replaced."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from daemon.errors import InterpreterError
from daemon.interpreters.import_run import ReadFile
from daemon.prefix.prefetch_list import prefetch_path, read_prefetch_list
from daemon.report.progress import Reporter
from daemon.upkeep import prefetch_record
from daemon.upkeep.prefetch_record import imported_modules, is_recorded, record_imports
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.synthetic.catalog import PYTHON, environment_cell, stack_cell

NAME = f"python{PYTHON}-torch2.4.1-cu121"
FOUND = [ReadFile(f"monobase/g00000/{NAME}/lib/libtorch.so", ((0, 4096),))]


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    alpha = fake.wheel("alpha", files={"alpha/__init__.py": b"NAME = 'alpha'\n"})
    torch = fake.wheel("torch", "2.4.1", files={"torch/__init__.py": b"NAME = 'torch'\n"})
    fake.install(0, environment_cell([alpha]), environment_cell([torch], "2.4.1", "cu121"))
    return fake


@pytest.fixture
def imports(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[str, ...]]]:
    """Replace the import by one that finds `FOUND`; return what is imported."""
    done: list[tuple[str, tuple[str, ...]]] = []

    def run_import(
        executable: Path, folder: Path, modules: Sequence[str]
    ) -> tuple[list[ReadFile], dict[str, str]]:
        done.append((str(executable.relative_to(folder)), tuple(modules)))
        return FOUND, {}

    monkeypatch.setattr(prefetch_record, "run_import", run_import)
    monkeypatch.setattr(prefetch_record, "free_memory_bytes", lambda: 2_000_000_000)
    return done


def record(fake: FakePrefix) -> tuple[list[str], list[str]]:
    log = io.StringIO()
    postponed = record_imports(fake.prefix, fake.catalog.generations, Reporter(log, "json"))
    entries = [json.loads(line) for line in log.getvalue().splitlines()]
    return [f"{entry['level']}: {entry['message']}" for entry in entries], postponed


def test_the_import_of_torch_is_recorded_once_and_a_plain_python_is_left_out(
    fake: FakePrefix, imports: list[tuple[str, tuple[str, ...]]]
) -> None:
    said = [f"info: g00000/{NAME}: recorded what its import reads: 4.1 kB of 1 files"]
    assert (record(fake), record(fake)) == ((said, []), ([], []))
    assert imports == [(f"monobase/g00000/{NAME}/bin/python", ("torch",))]
    found = read_prefetch_list(fake.prefix, "g00000", NAME)
    assert found is not None
    assert [(file.path, file.ranges) for file in found.files] == [(FOUND[0].path, FOUND[0].ranges)]


@pytest.mark.parametrize("text", ["", "monobase-prefetch 1\nenvironment", "junk"])
def test_a_damaged_list_is_recorded_again(
    fake: FakePrefix, imports: list[tuple[str, tuple[str, ...]]], text: str
) -> None:
    record(fake)
    prefetch_path(fake.prefix, "g00000", NAME).write_text(text)
    record(fake)
    assert len(imports) == 2
    assert read_prefetch_list(fake.prefix, "g00000", NAME) is not None


def test_the_list_of_another_tree_is_recorded_again(
    fake: FakePrefix, imports: list[tuple[str, tuple[str, ...]]]
) -> None:
    record(fake)
    generation = fake.generation(0)
    environment = next(item for item in generation.environments if item.name == NAME)
    path = prefetch_path(fake.prefix, "g00000", NAME)
    found = read_prefetch_list(fake.prefix, "g00000", NAME)
    assert found is not None
    text = path.read_text().replace(found.manifest_sha256, "0" * 64)
    path.write_text(text)  # its digest is wrong now as well
    assert not is_recorded(fake.prefix, generation, environment)
    record(fake)
    assert is_recorded(fake.prefix, generation, environment)
    assert len(imports) == 2


def test_a_list_of_a_newer_release_stays(
    fake: FakePrefix, imports: list[tuple[str, tuple[str, ...]]]
) -> None:
    path = prefetch_path(fake.prefix, "g00000", NAME)
    path.parent.mkdir(parents=True)
    path.write_text("monobase-prefetch 2\n")
    assert record(fake) == ([], [])
    assert (imports, path.read_text()) == ([], "monobase-prefetch 2\n")


def test_with_too_little_memory_it_is_postponed(
    fake: FakePrefix, imports: list[tuple[str, tuple[str, ...]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefetch_record, "free_memory_bytes", lambda: 900_000_000)
    assert record(fake) == ([], [f"g00000/{NAME}"])
    assert imports == []


def test_an_import_that_fails_is_reported_and_leaves_no_list(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefetch_record, "run_import", lambda *_: ([], {"torch": "ImportError: no"}))
    monkeypatch.setattr(prefetch_record, "free_memory_bytes", lambda: 2_000_000_000)
    said, _ = record(fake)
    why = f"g00000/{NAME}: torch cannot be imported: ImportError: no"
    assert said == [f"warning: g00000/{NAME}: what its import reads was not recorded: {why}"]

    def fail(*_: object) -> None:
        raise InterpreterError("crashed")

    monkeypatch.setattr(prefetch_record, "run_import", fail)
    assert record(fake)[0] == [f"warning: g00000/{NAME}: what its import reads was not recorded: crashed"]
    assert read_prefetch_list(fake.prefix, "g00000", NAME) is None


def test_the_list_of_an_environment_that_went_is_removed(
    fake: FakePrefix, imports: list[tuple[str, tuple[str, ...]]]
) -> None:
    record(fake)
    fake.retire(0)
    record(fake)
    assert not prefetch_path(fake.prefix, "g00000", NAME).parent.exists()
    assert len(imports) == 1


def test_a_stack_is_imported_after_its_torch(fake: FakePrefix) -> None:
    torch, server = fake.wheel("torch", "2.4.1"), fake.wheel("my-server", "1.0")
    plain = environment_cell([torch], "2.4.1", "cu121")
    both = environment_cell([torch, server], "2.4.1", "cu121")
    fake.define(1, plain, stack_cell(both, "my-server", "1.0"))
    modules = [imported_modules(environment) for environment in fake.generation(1).environments]
    assert modules == [("torch",), ("torch", "my_server")]
