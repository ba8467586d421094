"""One generation of `prod.bzl`, named by MONOBASE_GENERATION: its locks are its own, and sealed."""

import os
from pathlib import Path

import pytest

from gens.catalog import Catalog, load_catalog
from gens.drivers import minimum_driver
from gens.errors import LockError
from gens.generation import Generation
from gens.sums import broken_seals, make_seal, read_sums

HERE = Path(os.environ.get("MONOBASE_GENERATIONS_FOLDER", "gens"))


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog(HERE)


@pytest.fixture(scope="module")
def generation(catalog: Catalog) -> Generation:
    return catalog.generation(int(os.environ["MONOBASE_GENERATION"]))


def test_each_lock_belongs_to_its_definition(catalog: Catalog, generation: Generation) -> None:
    problems = []
    for target in generation.targets:
        try:
            catalog.lock(generation, target)
        except LockError as error:
            problems.append(str(error))
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def test_each_stack_has_the_pins_of_its_base_but_those_that_its_lock_names(
    catalog: Catalog, generation: Generation
) -> None:
    bases = {cell.inputs: cell for cell in generation.environments}
    problems = []
    for cell in generation.environments:
        base = None if cell.inputs.base is None else bases.get(cell.inputs.base)
        if base is None:
            continue
        lock = catalog.lock(generation, cell)
        pins = {wheel.name: wheel.version for wheel in catalog.lock(generation, base).wheels}
        differing = {
            f"{wheel.name}=={pins[wheel.name]}"
            for wheel in lock.wheels
            if pins.get(wheel.name, wheel.version) != wheel.version
        }
        if lock.base != base.name or not differing <= set(lock.conflicts):
            problems.append(
                f"{cell.full_name}: base {lock.base}, not kept {sorted(differing)}, named {lock.conflicts}"
            )
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def test_there_is_no_lock_without_a_target(catalog: Catalog, generation: Generation) -> None:
    expected = {catalog.lock_path(generation, target) for target in generation.targets}
    found = {path for path in (HERE / generation.directory_name).rglob("*") if not path.is_dir()}
    strays = found - expected
    if strays:
        pytest.fail(f"no target of generation {generation.id}: {sorted(map(str, strays))}", pytrace=False)


def test_the_oldest_driver_of_each_cuda_version_is_known(generation: Generation) -> None:
    versions = {cell.cuda for cell in generation.environments if cell.cuda is not None} | {*generation.cuda}
    unknown = sorted(version for version in versions if minimum_driver(version) is None)
    if unknown:
        pytest.fail(f"CUDA {', '.join(unknown)}: add the driver to gens/drivers.py", pytrace=False)


def test_it_is_what_gens_sum_seals(generation: Generation) -> None:
    path = HERE / "gens.sum"
    seal = read_sums(path).get(generation.id)
    if seal is None:
        message = f"{path} does not seal it: bazel run //tools:update -- --min-gen-id {generation.id}"
        pytest.fail(f"generation {generation.id}: {message}", pytrace=False)
    folder = HERE / generation.directory_name
    locks = {
        lock.relative_to(folder).as_posix(): lock.read_text(encoding="utf-8")
        for lock in folder.rglob("*.txt")
    }
    broken = broken_seals(generation, seal, make_seal(generation, locks))
    if broken:
        pytest.fail("\n".join(["a sealed generation was changed:", *broken]), pytrace=False)
