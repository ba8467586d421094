"""Bases: environments are found by their names and by abbreviations that fit one only."""

from pathlib import Path

import pytest

from gens.catalog import Catalog
from gens.errors import DefinitionError, LockError
from gens.generation import Environment, Generation, Inputs
from gens.lock import Lock, LockedWheel, format_lock
from layers.lock import lock_digest
from tools.layer.base import find_base, find_generation

DATE = "2026-11-01T00:00:00Z"
PLATFORMS = ("x86_64-manylinux_2_34", "aarch64-manylinux_2_34")


def _cell(python: str, torch: str | None, platform: str, stack: str | None = None) -> Environment:
    inputs = Inputs(f"{python}.1", platform, DATE, (f"torch=={torch}" if torch else "pip",))
    return Environment(
        python,
        f"{python}.1",
        inputs,
        torch=torch,
        build=None if torch is None else "cu130",
        cuda=None if torch is None else "13.0",
        stack=stack,
        stack_version=None if stack is None else "0.33.0",
    )


def _catalog(folder: Path) -> Catalog:
    cells = [
        _cell(python, torch, PLATFORMS[0])
        for python in ("3.12", "3.13")
        for torch in (None, "2.13.0", "2.14.0", "2.14.1")
    ]
    cells += [_cell("3.12", None, PLATFORMS[0], "vllm"), _cell("3.12", "2.13.0", PLATFORMS[1])]
    generations = tuple(
        Generation(
            id=number,
            platform=PLATFORMS[0],
            exclude_newer=DATE,
            python={"3.12": "3.12.1", "3.13": "3.13.1"},
            environments=tuple(cells),
            further_platforms=PLATFORMS[1:],
        )
        for number in (1, 2)
    )
    return Catalog(generations, folder)


@pytest.fixture(name="catalog")
def _with_locks(tmp_path: Path) -> Catalog:
    catalog = _catalog(tmp_path)
    wheel = LockedWheel("numpy", "2.5.0", "a" * 64, "numpy-2.5.0-py3-none-any.whl", 7)
    for generation in catalog.generations:
        for cell in generation.environments:
            lock = Lock(
                generation_id=generation.id,
                kind="environment",
                target=cell.name,
                inputs=cell.inputs.digest,
                resolver="uv 0.13.9",
                exclude_newer=DATE,
                wheels=(wheel,),
            )
            path = catalog.lock_path(generation, cell)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(format_lock(lock))
    return catalog


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("python3.12-torch2.13.0-cu130", "python3.12-torch2.13.0-cu130"),
        ("3.12-torch2.13.0-cu130", "python3.12-torch2.13.0-cu130"),
        ("3.12-torch2.13.0", "python3.12-torch2.13.0-cu130"),
        ("3.13-torch2.13", "python3.13-torch2.13.0-cu130"),
        ("torch2.13-3.12", "python3.12-torch2.13.0-cu130"),
        ("3.12", "python3.12"),
        ("python3.13", "python3.13"),
        ("vllm", "python3.12-vllm0.33.0"),
        ("x86_64/python3.12", "python3.12"),
    ],
)
def test_a_name_or_an_abbreviation_finds_its_environment(catalog: Catalog, asked: str, found: str) -> None:
    generation = find_generation(catalog, 2, "x86_64")
    base = find_base(catalog, generation, asked)
    assert (base.environment.name, base.name) == (found, f"g00002/{found}")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("3.12-torch2.14", r"'3.12-torch2.14' fits 2 environments of g00002: python3.12-torch2.14.0-cu130, "),
        ("torch2.13.0", r"fits 2 environments.*python3.12-torch2.13.0-cu130, python3.13-torch2.13.0-cu130"),
        ("3.1", r"g00002 has no '3.1' for x86_64; the nearest are python3.1.*, and \d+ others$"),
        (
            "3.13-torch9",
            r"has no '3.13-torch9' for x86_64; the nearest are python3.13-torch2.\S+, py",
        ),
        ("torch2.1", "has no 'torch2.1' for x86_64"),
        ("", "has no '' for x86_64"),
        ("3.12-torch2.13.0-cu128", "has no '3.12-torch2.13.0-cu128'"),
    ],
)
def test_what_fits_none_or_several_is_refused_with_the_names(
    catalog: Catalog, asked: str, message: str
) -> None:
    generation = find_generation(catalog, 2, "x86_64")
    with pytest.raises(DefinitionError, match=message):
        find_base(catalog, generation, asked)


def test_the_newest_generation_is_the_default(catalog: Catalog) -> None:
    assert find_generation(catalog, None, "x86_64").id == 2
    assert find_generation(catalog, 1, "x86_64").id == 1


def test_another_machine_has_its_own_environments(catalog: Catalog) -> None:
    generation = find_generation(catalog, 2, "aarch64")
    base = find_base(catalog, generation, "3.12-torch2.13.0")
    assert base.name == "g00002/aarch64/python3.12-torch2.13.0-cu130"
    with pytest.raises(DefinitionError, match="g00002 is for x86_64 and aarch64, not for riscv64"):
        find_generation(catalog, 2, "riscv64")


def test_a_base_knows_its_wheels_and_the_digest_of_its_lock(catalog: Catalog) -> None:
    generation = find_generation(catalog, 2, "x86_64")
    base = find_base(catalog, generation, "3.12")
    path = catalog.lock_path(generation, base.environment)
    assert base.digest == lock_digest(path.read_text())
    assert base.has("numpy", "2.5")
    assert not base.has("numpy", "2.4.0")
    assert not base.has("scipy", "1.0")


def test_a_missing_lock_of_a_base_is_named(catalog: Catalog) -> None:
    generation = find_generation(catalog, 2, "x86_64")
    catalog.lock_path(generation, find_base(catalog, generation, "3.12").environment).unlink()
    with pytest.raises(LockError, match=r"python3.12.txt: there is no lock for python3.12"):
        find_base(catalog, generation, "3.12")
