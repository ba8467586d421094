"""Looks up trees and wheels in a catalog that can be read in part."""

import re
from pathlib import Path

import pytest

from daemon.upkeep.lock_lookup import LockLookup
from gens.errors import DefinitionError, MonobaseError
from gens.generation import Generation, Target
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.synthetic.catalog import environment_cell, toolkit_cell

_CUDNN = "cudnn-9.1.0.70-cuda12"


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.install(0)
    return fake


def _environment(fake: FakePrefix) -> tuple[Generation, Target]:
    generation = fake.generation(0)
    return generation, generation.target(fake.environment)


def _lookup(fake: FakePrefix) -> LockLookup:
    return LockLookup(fake.prefix, fake.catalog)


def test_a_tree_is_found_by_its_generation_and_name(fake: FakePrefix) -> None:
    wanted = _lookup(fake).wanted(f"monobase/g00000/{fake.environment}")
    assert (wanted.generation.id, wanted.target.name) == (0, fake.environment)
    assert [wheel.name for wheel in wanted.lock.wheels] == ["alpha"]


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("monobase/g00007/python3.11", "there is no generation 7"),
        ("monobase/g00000/lost+found", "g00000 has no 'lost+found'"),
        ("cuda/cuda-11.8.0", "no generation with a readable definition and lock has it"),
    ],
)
def test_a_tree_that_no_definition_names_is_an_error(fake: FakePrefix, label: str, said: str) -> None:
    with pytest.raises(DefinitionError, match=re.escape(said)):
        _lookup(fake).wanted(label)


def test_a_lock_that_cannot_be_read_is_an_error_of_its_own_tree_and_hides_no_other(fake: FakePrefix) -> None:
    fake.define(1, environment_cell([fake.wheel("beta")]))
    (fake.directory / "gens" / "g00000" / f"{fake.environment}.txt").write_text("junk")
    lookup = _lookup(fake)
    with pytest.raises(MonobaseError):
        lookup.wanted(f"monobase/g00000/{fake.environment}")
    beta = lookup.wanted(f"monobase/g00001/{fake.environment}").lock.wheels[0]
    assert lookup.wheel(beta.sha256) is not None
    assert lookup.wanted(f"cuda/{_CUDNN}").target.name == fake.toolkit


def test_a_wheel_is_found_in_any_lock_and_an_unknown_one_is_not(fake: FakePrefix) -> None:
    (sha256,) = (wheel.sha256 for wheel in fake.catalog.lock(*_environment(fake)).wheels)
    found = _lookup(fake).wheel(sha256)
    assert found is not None
    assert (found[0].name, found[1].target.name) == ("alpha", fake.environment)
    assert _lookup(fake).wheel("0" * 64) is None


def test_a_toolkit_is_found_by_a_link_before_its_name(fake: FakePrefix) -> None:
    other = fake.wheel(
        "nvidia-cudnn-cu12", "9.1.0.70", files={"nvidia/cudnn/lib/libcudnn.so.9": b"other"}, cached=False
    )
    fake.define(1, toolkit_cell([other], "9.1.0.70", "12"))
    by_name = _lookup(fake).wanted(f"cuda/{_CUDNN}")
    assert by_name.generation.id == 0
    fake.retire(0)
    link = fake.prefix.generation("g00001") / fake.toolkit
    link.parent.mkdir()
    link.symlink_to(f"../../cuda/{_CUDNN}")
    assert _lookup(fake).wanted(f"cuda/{_CUDNN}").generation.id == 1
    link.unlink()
    assert _lookup(fake).wanted(f"cuda/{_CUDNN}").generation.id == 0
