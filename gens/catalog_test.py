"""The catalog: generations of a directory, and locks that must belong to them."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from gens.catalog import load_catalog
from gens.errors import DefinitionError, LockError
from gens.generation import Environment, Generation, Inputs, format_generation
from gens.lock import Lock, LockedWheel, format_lock

INPUTS = Inputs("3.11.10", "x86_64-manylinux_2_28", "2026-11-01T00:00:00Z", ("pip",))
CELL = Environment("3.11", "3.11.10", INPUTS)


def generation(generation_id: int) -> Generation:
    return Generation(
        id=generation_id,
        platform=INPUTS.platform,
        exclude_newer=INPUTS.exclude_newer,
        python={"3.11": "3.11.10"},
        environments=(CELL,),
    )


def write(directory: Path, *ids: int) -> Path:
    directory.mkdir(exist_ok=True)
    for generation_id in ids:
        name = generation(generation_id).directory_name
        (directory / f"{name}.json").write_text(format_generation(generation(generation_id)))
    return directory


LOCK = Lock(
    generation_id=3,
    kind="environment",
    target="python3.11",
    inputs=INPUTS.digest,
    resolver="uv 0.13.9",
    exclude_newer=INPUTS.exclude_newer,
    wheels=(LockedWheel("pip", "26.2", "0" * 64, "pip-26.2-py3-none-any.whl", 1800000),),
)


def test_generations_come_oldest_first(tmp_path: Path) -> None:
    catalog = load_catalog(write(tmp_path, 100000, 3, 12))
    assert [item.id for item in catalog.generations] == [3, 12, 100000]


def test_bounds_are_inclusive_and_may_be_left_out(tmp_path: Path) -> None:
    catalog = load_catalog(write(tmp_path, 0, 1, 2, 3))
    assert [item.id for item in catalog.between(1, 2)] == [1, 2]
    assert [item.id for item in catalog.between(2, None)] == [2, 3]
    assert [item.id for item in catalog.between(None, 1)] == [0, 1]
    with pytest.raises(DefinitionError, match="no generation has an ID from 7 to any; there are 0, 1, 2, 3"):
        catalog.between(7, None)


def test_the_catalog_of_a_machine_has_only_its_targets_and_leaves_other_generations_out(
    tmp_path: Path,
) -> None:
    other = "aarch64-manylinux_2_34"
    on_arm = replace(CELL, inputs=replace(INPUTS, platform=other))
    both = replace(generation(3), environments=(CELL, on_arm), further_platforms=(other,))
    (write(tmp_path, 0, 1) / "g00003.json").write_text(format_generation(both))
    (tmp_path / "g00004.json").write_text("{")
    whole = load_catalog(tmp_path, keep_broken=True)
    arm = whole.for_machine("aarch64")
    assert [item.id for item in arm.between(None, None)] == [3]
    assert arm.generation(3).environments == (on_arm,)
    assert list(arm.broken) == [4]
    assert list(arm.elsewhere_between(1, None)) == ["g00001"]
    with pytest.raises(DefinitionError, match=r"^g00000 is for x86_64, not for aarch64$"):
        arm.generation(0)
    with pytest.raises(
        DefinitionError,
        match=r"^g00000 is for x86_64, not for aarch64; g00001 is for x86_64, not for aarch64; "
        r"for that machine there are 3$",
    ):
        arm.between(None, 2)
    with pytest.raises(DefinitionError, match="no generation has an ID from 7"):
        arm.between(7, 9)
    assert [item.id for item in whole.for_machine("x86_64").generations] == [0, 1, 3]
    assert whole.for_machine("x86_64").elsewhere == {}


def test_an_unknown_generation_is_an_error_that_tells_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="there is no generation 5; there are 0, 1"):
        load_catalog(write(tmp_path, 0, 1)).generation(5)


def test_a_directory_without_definitions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="holds no definition of a generation"):
        load_catalog(tmp_path)
    with pytest.raises(DefinitionError, match="cannot be read"):
        load_catalog(tmp_path / "absent")


def test_a_definition_under_another_name_is_refused(tmp_path: Path) -> None:
    write(tmp_path, 3)
    (tmp_path / "g00003.json").rename(tmp_path / "g00004.json")
    with pytest.raises(
        DefinitionError, match=r"g00004\.json: defines generation 3, whose file is g00003\.json"
    ):
        load_catalog(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"id": 1}', b'{"id":1,"x":' + b"[" * 100_000])
def test_a_catalog_may_carry_a_definition_that_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, 0, 2)
    (tmp_path / "g00001.json").write_bytes(content)
    (tmp_path / "g00003.json").mkdir()
    with pytest.raises(DefinitionError, match=r"g00001\.json"):
        load_catalog(tmp_path)
    catalog = load_catalog(tmp_path, keep_broken=True)
    assert [item.id for item in catalog.between(None, None)] == [0, 2]
    assert list(catalog.broken_between(None, None)) == ["g00001", "g00003"]
    assert list(catalog.broken_between(2, 3)) == ["g00003"]
    assert "Is a directory" in str(catalog.broken[3])
    with pytest.raises(DefinitionError, match=r"g00001\.json"):
        catalog.generation(1)
    with pytest.raises(DefinitionError, match=r"g00001\.json"):
        catalog.between(1, 1)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    write(tmp_path, 1)
    os.mkfifo(tmp_path / "g00002.json")
    catalog = load_catalog(tmp_path, keep_broken=True)
    assert "is a pipe" in str(catalog.broken[2])
    (only,) = catalog.generations
    (tmp_path / "g00001").mkdir(exist_ok=True)
    catalog.lock_path(only, CELL).unlink(missing_ok=True)
    os.mkfifo(catalog.lock_path(only, CELL))
    with pytest.raises(LockError, match="is a pipe"):
        catalog.lock(only, CELL)


def test_locks_are_read_only_when_asked_for(tmp_path: Path) -> None:
    write(tmp_path, 3)
    (tmp_path / "g00003").mkdir()
    lock = tmp_path / "g00003" / "python3.11.txt"
    lock.write_text("nonsense")
    catalog = load_catalog(tmp_path)
    lock.write_text(format_lock(LOCK))
    assert catalog.lock(catalog.generation(3), CELL) == LOCK


def test_locks_may_lie_elsewhere(tmp_path: Path) -> None:
    catalog = load_catalog(write(tmp_path / "definitions", 3), tmp_path / "locks")
    assert catalog.lock_path(catalog.generation(3), CELL) == tmp_path / "locks" / "g00003" / "python3.11.txt"


def test_a_missing_lock_is_an_error_with_its_path_and_the_remedy(tmp_path: Path) -> None:
    catalog = load_catalog(write(tmp_path, 3))
    with pytest.raises(
        LockError, match=r"python3\.11\.txt: there is no lock for python3\.11; `bazel run //tools:upd"
    ):
        catalog.lock(catalog.generation(3), CELL)


@pytest.mark.parametrize(
    ("lock", "reason"),
    [
        (replace(LOCK, inputs="sha256:" + "0" * 64), "txt:3: was made from another definition"),
        (
            replace(LOCK, generation_id=4),
            "is for environment python3.11 of g00004, not for environment python3.11",
        ),
        (replace(LOCK, target="python3.12"), "is for environment python3.12 of g00003, not for"),
        (replace(LOCK, kind="toolkit"), "is for toolkit python3.11 of g00003, not for environment"),
    ],
)
def test_a_lock_that_does_not_belong_to_its_target_is_refused(
    tmp_path: Path, lock: Lock, reason: str
) -> None:
    catalog = load_catalog(write(tmp_path, 3))
    path = catalog.lock_path(catalog.generation(3), CELL)
    path.parent.mkdir()
    path.write_text(format_lock(lock))
    with pytest.raises(LockError) as refused:
        catalog.lock(catalog.generation(3), CELL)
    assert reason in str(refused.value)
    assert str(path) in str(refused.value)
