"""Pruning of fake prefixes; uv is a program that does nothing."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.errors import PrefixInUseError
from daemon.prefix.finding import Finding
from daemon.prefix.prefix import Prefix
from daemon.prefix.writer_lock import WriterLock, writer_lock
from daemon.report.progress import Reporter
from daemon.upkeep import prune_plan as module
from daemon.upkeep.prune import clean_uv_cache, prune
from daemon.upkeep.prune_plan import PrunePlan, PruneRules, plan_prune
from daemon.upkeep.verify import verify
from gens.catalog import Catalog
from gens.errors import DefinitionError, MonobaseError
from tests.fake_prefix.fake_prefix import BYTECODE_KEY, INTERPRETER, FakePrefix
from tests.index.wheel import Wheel
from tests.synthetic.catalog import Cell, environment_cell, toolkit_cell

_UV = Path("/bin/true")
_DIGEST = "0123456789abcdef" * 4


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    return FakePrefix(tmp_path)


def _cublas(fake: FakePrefix, number: int) -> Wheel:
    library = f"library {number}\n".encode() * 2000
    return fake.wheel(
        "nvidia-cublas-cu12", f"12.4.{number}.8", files={"nvidia/cublas/lib/libcublas.so.12": library}
    )


def _cells(fake: FakePrefix, number: int) -> tuple[Cell, ...]:
    """Describe a generation with a wheel that all have, a wheel of its own, and a toolkit of its own."""
    own = fake.wheel("own", f"{number}.0", files={"own.py": f"NUMBER = {number}\n".encode() * 2000})
    cublas = _cublas(fake, number)
    return environment_cell([fake.wheel("shared"), own]), toolkit_cell([cublas], f"12.4.{number}")


@pytest.fixture
def two(fake: FakePrefix) -> FakePrefix:
    """A prefix with two sealed generations, of which `latest` names the newer one."""
    for number in range(2):
        fake.install(number, *_cells(fake, number))
    return fake


def _prune(fake: FakePrefix, min_gen_id: int = 1, catalog: Catalog | None = None) -> PrunePlan:
    return prune(fake.prefix, catalog or fake.catalog, _UV, PruneRules(min_gen_id), Reporter(), 0)


def _plan(fake: FakePrefix, min_gen_id: int = 1) -> PrunePlan:
    return plan_prune(fake.prefix, fake.catalog, PruneRules(min_gen_id))


def _blocks(prefix: Prefix) -> tuple[int, int]:
    """Count bytes and inodes of all files below the prefix, and of folders."""
    found = {path.lstat().st_ino: path.lstat().st_blocks * 512 for path in prefix.root.rglob("*")}
    return sum(found.values()), len(found)


def _differences(fake: FakePrefix) -> list[Finding]:
    return verify(fake.prefix, fake.prefix.installed_generations(), 1, stores=True).findings


def _everything(fake: FakePrefix) -> set[str]:
    """Name all files below the prefix, but those of `files/`: some hold the path of the prefix."""
    found = {path.relative_to(fake.prefix.root) for path in fake.prefix.root.rglob("*") if not path.is_dir()}
    return {str(path) for path in found if path.parts[0] != "files"}


def test_an_old_generation_goes_with_all_that_only_it_used(two: FakePrefix, tmp_path: Path) -> None:
    expected = FakePrefix(tmp_path / "expected")
    expected.install(1, *_cells(expected, 1))
    plan = _prune(two)
    assert (plan.generations, plan.toolkits) == (["g00000"], ["cuda-12.4.0"])
    assert sorted(plan.wheels) == ["nvidia-cublas-cu12", "own"]
    _prune(expected)  # of a prefix that never held the old one
    assert _everything(two) == _everything(expected)
    assert 1 not in {path.stat().st_nlink for path in two.prefix.files.rglob("*") if path.is_file()}
    assert _differences(two) == []


def test_what_a_plan_says_is_what_a_prune_frees(two: FakePrefix) -> None:
    with _lock(two.prefix):
        before = _blocks(two.prefix)
        plan = _plan(two)
        assert _blocks(two.prefix) == before
    done = _prune(two)
    with _lock(two.prefix):
        after = _blocks(two.prefix)
    freed = (before[0] - after[0], before[1] - after[1])
    assert (plan.freed_bytes, plan.freed_inodes) == freed
    assert (done.freed_bytes, done.freed_inodes) == freed
    assert freed[0] > 60_000


@contextmanager
def _lock(prefix: Prefix) -> Iterator[WriterLock]:
    with writer_lock(prefix, 0, print) as writer:
        yield writer


def test_a_second_prune_finds_nothing(two: FakePrefix) -> None:
    assert not _prune(two).empty
    before = _everything(two)
    assert _prune(two) == PrunePlan()
    assert _everything(two) == before


def test_nothing_goes_where_nothing_was_installed(tmp_path: Path, fake: FakePrefix) -> None:
    fake.define(0)
    prefix = Prefix(tmp_path / "nowhere")
    assert prune(prefix, fake.catalog, _UV, PruneRules(0), Reporter()).empty
    assert not prefix.root.exists()


def test_a_range_without_a_generation_is_an_error(two: FakePrefix) -> None:
    with pytest.raises(DefinitionError):
        _plan(two, 7)


def test_the_target_of_latest_stays(two: FakePrefix) -> None:
    two.point_latest(0)
    plan = _prune(two)
    assert plan.kept == {"g00000": "`latest` names it"}
    assert (plan.generations, plan.toolkits) == ([], [])
    assert two.prefix.installed_generations() == ["g00000", "g00001"]


def test_a_leased_generation_stays_with_all_that_it_uses_until_the_lease_ends(two: FakePrefix) -> None:
    with two.lease(0):
        assert "a model has leased it" in _plan(two).kept["g00000"]
        _prune(two)
        assert two.prefix.installed_generations() == ["g00000", "g00001"]
        assert _differences(two) == []
    assert _prune(two).generations == ["g00000"]


def test_a_generation_that_is_leased_after_the_plan_stays_with_all_that_it_uses(
    two: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "leased_folder", lambda _: None)
    with two.lease(0):
        plan = _prune(two)
    assert (plan.generations, plan.paths, plan.toolkits, plan.wheels) == ([], [], [], [])
    assert "a model has leased it" in plan.kept["g00000"]
    assert two.prefix.installed_generations() == ["g00000", "g00001"]
    assert _differences(two) == []


@pytest.mark.parametrize("what", ["mark", "manifest"])
def test_what_a_newer_release_has_written_stays(two: FakePrefix, what: str) -> None:
    if what == "mark":
        two.make_newer(0)
    else:
        two.make_tree_newer(two.tree(0))
    plan = _plan(two)
    assert "newer monobase" in plan.kept["g00000"]
    assert plan.generations == []


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text("{")])
def test_an_old_generation_with_a_missing_or_damaged_mark_goes_as_well(
    two: FakePrefix, damage: Callable[[Path], None]
) -> None:
    damage(two.prefix.sealed_mark("g00000"))
    assert _prune(two).generations == ["g00000"]


def test_a_generation_stays_as_long_as_no_other_can_take_its_place(fake: FakePrefix) -> None:
    fake.install(0, *_cells(fake, 0))
    fake.define(1, *_cells(fake, 1))
    fake.point_latest(1)
    assert _plan(fake).kept == {
        "g00000": f"no active generation takes its place: g00001 has no {fake.environment} yet"
    }
    fake.publish(1, fake.environment)
    fake.point_latest(1)
    assert "g00001 has no cuda12.4 yet" in _plan(fake).kept["g00000"]
    fake.publish(1)
    assert _plan(fake).generations == ["g00000"]


def test_a_part_that_has_nothing_in_common_takes_no_place(fake: FakePrefix) -> None:
    fake.install(0, *_cells(fake, 0))
    fake.define(1, environment_cell([fake.wheel("other")], torch="2.4.1"))
    fake.publish(1)
    fake.point_latest(1)
    assert "g00001 has no part of what it has yet" in _plan(fake).kept["g00000"]


def test_a_damaged_mark_of_the_newer_generation_makes_it_no_successor(two: FakePrefix) -> None:
    two.prefix.sealed_mark("g00001").write_text("{")
    assert _plan(two).generations == ["g00000"]  # it has all that the old one has
    shutil.rmtree(two.tree(1))
    assert f"g00001 has no {two.environment} yet" in _plan(two).kept["g00000"]


def test_a_generation_without_anything_in_it_goes(two: FakePrefix) -> None:
    shutil.rmtree(two.prefix.generation("g00000"))
    two.prefix.generation("g00000").mkdir()
    assert _prune(two).generations == ["g00000"]


def test_only_generations_go_when_what_is_in_use_cannot_be_told(two: FakePrefix) -> None:
    manifest = two.tree(1) / ".manifest"
    manifest.write_bytes(b"junk")
    plan = _prune(two)
    assert "what is in use is not known" in plan.incomplete
    assert str(manifest) in plan.incomplete
    assert (plan.generations, plan.paths) == (["g00000"], [])
    assert plan.freed_bytes > 0
    assert (two.prefix.toolkits / "cuda-12.4.0").exists()


def test_only_generations_go_when_an_active_definition_cannot_be_read(two: FakePrefix) -> None:
    broken = replace(two.catalog, broken={2: DefinitionError("g00002.json: not JSON")})
    plan = _prune(two, catalog=broken)
    reason = "only generations are removed, as what is in use is not known: g00002.json: not JSON"
    assert plan.incomplete == reason
    assert (plan.generations, plan.paths) == (["g00000"], [])


def test_the_wheels_of_an_active_definition_stay_before_they_are_installed(two: FakePrefix) -> None:
    later = two.wheel("later")
    two.define(2, environment_cell([later]))
    assert sorted(_prune(two).wheels) == ["nvidia-cublas-cu12", "own"]
    assert two.archive(later).is_dir()


def test_an_interpreter_that_nothing_runs_on_goes_with_its_mark_and_its_short_name(two: FakePrefix) -> None:
    other = two.prefix.uv_python / "cpython-3.9.1-linux-x86_64-gnu"
    (other / "bin").mkdir(parents=True)
    two.prefix.interpreter_manifest(other.name).write_bytes(b"")
    short = two.prefix.uv_python / "cpython-3.9-linux-x86_64-gnu"
    short.symlink_to(other.name)
    kept = two.prefix.uv_python / "pypy-3.9.1"
    kept.mkdir()
    assert _prune(two).interpreters == [other.name]
    left = {path.name for path in two.prefix.uv_python.iterdir()}
    assert left == {INTERPRETER, f".{INTERPRETER}.complete", kept.name}


def test_what_a_person_put_into_the_stores_stays(two: FakePrefix) -> None:
    prefix = two.prefix
    folders = [
        prefix.toolkits / "lost+found",
        prefix.toolkits / "cuda-11.8.0",  # without a manifest: no install made it
        prefix.wheels / "lost+found",
        prefix.bytecode / "lost+found",
        prefix.files / "lost+found",
        prefix.generation("g00001") / "notes",
    ]
    for folder in folders:
        folder.mkdir()
        (folder / "note").write_text("keep")
    plan = _prune(two)
    assert plan.generations == ["g00000"]
    assert plan.incomplete == ""
    assert all((folder / "note").exists() for folder in folders)


def test_bytecode_of_an_interpreter_that_nothing_runs_on_goes_as_a_whole(two: FakePrefix) -> None:
    old = two.prefix.bytecode / "cpython-39-3.9.1" / "ab"
    old.mkdir(parents=True)
    (old / f"{_DIGEST}-{_DIGEST}.pyc").write_bytes(b"x")
    _prune(two)
    assert [path.name for path in two.prefix.bytecode.iterdir()] == [BYTECODE_KEY]


def test_entries_of_the_cache_that_name_no_wheel_stay(two: FakePrefix) -> None:
    package = two.prefix.uv_cache / "wheels-v8" / "pypi" / "other"
    package.mkdir(parents=True)
    (package / "1.0-py3-none-any.http").write_bytes(b"nothing known")
    (package / "notes.txt").write_text(_DIGEST)
    (package.parent / "file").write_text("")
    _prune(two)
    assert sorted(path.name for path in package.iterdir()) == ["1.0-py3-none-any.http", "notes.txt"]


def test_two_names_of_one_archive_are_counted_once_and_an_archive_elsewhere_stays(
    two: FakePrefix, tmp_path: Path
) -> None:
    before = _plan(two)
    own = next(path for path in two.prefix.uv_cache.rglob("own/0.0*") if path.is_symlink())
    package = two.prefix.uv_cache / "wheels-v8" / "pypi" / "own"
    package.mkdir(parents=True)
    (package / own.name).symlink_to(own.resolve())
    digest = next(line for line in own.with_name(f"{own.name}.http").read_text().split() if len(line) == 64)
    (package / f"{own.name}.http").write_text(digest)
    away = tmp_path / "away"
    away.mkdir()
    (package / "9.0-py3-none-any").symlink_to(away)
    (package / "9.0-py3-none-any.rev").write_text(_DIGEST)
    assert 0 <= _plan(two).freed_bytes - before.freed_bytes < 20_000  # of the pointers themselves
    _prune(two)
    assert away.exists()
    assert list(package.iterdir()) == []


def test_what_a_killed_prune_left_is_removed_by_the_next(two: FakePrefix) -> None:
    retired = two.retire(0)
    plan = _prune(two)
    assert not retired.exists()
    assert plan.toolkits == ["cuda-12.4.0"]
    assert not two.prefix.staging.exists()


def test_a_plan_looks_again_when_something_goes_meanwhile(
    two: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([FileNotFoundError("gone"), FileNotFoundError("gone")])

    def latest(_: Prefix) -> str:
        for error in looks:
            raise error
        return "g00001"

    monkeypatch.setattr(module, "latest_name", latest)
    assert _plan(two).generations == ["g00000"]


def test_a_prune_beside_another_writer_ends_with_its_name(two: FakePrefix) -> None:
    with _lock(two.prefix), pytest.raises(PrefixInUseError):
        _prune(two)
    assert two.prefix.installed_generations() == ["g00000", "g00001"]


def test_a_cleaned_cache_is_empty_and_what_is_installed_stays_whole(two: FakePrefix) -> None:
    unused = two.wheel("unused", files={"unused.py": b"x = 1\n" * 5000})
    freed = clean_uv_cache(two.prefix, Reporter(), 0)
    assert freed > 30_000
    assert not two.archive(unused).exists()
    assert list(two.prefix.uv_cache.iterdir()) == []
    assert _differences(two) == []
    links = {path.stat().st_nlink for path in two.prefix.files.rglob("*") if path.is_file()}
    assert 1 not in links


def test_a_cache_that_is_not_there_is_made(two: FakePrefix) -> None:
    clean_uv_cache(two.prefix, Reporter(), 0)
    shutil.rmtree(two.prefix.uv_cache)
    # uv's lock is in it while the writer lasts, and nothing else.
    assert clean_uv_cache(two.prefix, Reporter(), 0) < 10_000
    assert two.prefix.uv_cache.is_dir()


def test_a_uv_that_fails_is_an_error_and_leaves_nothing_half_removed(two: FakePrefix) -> None:
    with pytest.raises(MonobaseError, match="uv failed"):
        prune(two.prefix, two.catalog, Path("/bin/false"), PruneRules(1), Reporter())
    assert two.prefix.installed_generations() == ["g00001"]
    assert not two.prefix.staging.exists()
    assert _differences(two) == []
