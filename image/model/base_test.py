from dataclasses import replace
from pathlib import Path

import pytest

from gens.catalog import Catalog, load_catalog
from image.architecture import AMD64, ARM64
from image.errors import ImageError
from image.model.base import find_base, refuse_other_base
from image.model.variables import selecting_variables
from layers.lock import LayerLock, Override, lock_digest
from tests.index.wheel import WheelSpec, write_wheel
from tests.synthetic.catalog import environment_cell, on_platform, stack_cell, write_catalog

LOCK = Path("team/model.lock")


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    wheel = write_wheel(WheelSpec("shared", "1.0", files={"shared.py": b""}), tmp_path)
    cell = environment_cell([wheel], "2.4.1", "cu124", python="3.12.3")
    stack = stack_cell(cell, "vllm", "0.33.0")
    write_catalog(tmp_path, {2: [cell, on_platform(cell), stack]})
    return load_catalog(tmp_path)


def lock_on(catalog: Catalog, environment: str, folder: str = "") -> LayerLock:
    text = (catalog.locks_directory / "g00002" / folder / f"{environment}.txt").read_text()
    digest = "sha256:" + "0" * 64
    return LayerLock(
        2, environment, lock_digest(text), f"{folder or 'x86_64'}-manylinux_2_34", digest, "uv 0.13.9",
        "2026-11-26T00:00:00Z", (), overrides=(Override("shared", "2.0", "1.0"),),
    )  # fmt: skip


def test_the_facts_are_those_of_the_environment_that_the_lock_names(catalog: Catalog) -> None:
    lock = lock_on(catalog, "python3.12-torch2.4.1-cu124")
    facts = find_base(lock, LOCK, catalog, AMD64)
    assert (facts.generation, facts.environment, facts.base) == (2, lock.environment, lock.base)
    assert facts.variables == {
        "MONOBASE_GEN_ID": "2", "PYTHON_VERSION": "3.12", "TORCH_VERSION": "2.4.1+cu124",
    }  # fmt: skip
    assert [(package.name, package.version) for package in facts.packages] == [("shared", "1.0")]
    assert facts.overridden == ("shared",)


def test_another_architecture_has_the_lock_of_its_machine(catalog: Catalog) -> None:
    lock = lock_on(catalog, "python3.12-torch2.4.1-cu124", "aarch64")
    assert find_base(lock, LOCK, catalog, ARM64).architecture == "arm64"
    with pytest.raises(ImageError, match="is for aarch64, and an image for amd64 needs one for x86_64"):
        find_base(lock, LOCK, catalog, AMD64)


def test_a_base_that_was_locked_again_is_refused_with_both_digests(catalog: Catalog) -> None:
    lock = lock_on(catalog, "python3.12-torch2.4.1-cu124")
    other = replace(lock, base="sha256:" + "f" * 64)
    with pytest.raises(ImageError, match=f"the lock {other.base}, but .* is {lock.base}; lock again"):
        find_base(other, LOCK, catalog, AMD64)


def test_an_environment_or_generation_that_does_not_exist_is_named(catalog: Catalog) -> None:
    lock = lock_on(catalog, "python3.12-torch2.4.1-cu124")
    with pytest.raises(ImageError, match=r"against python3\.11, which g00002 does not have for x86_64"):
        find_base(replace(lock, environment="python3.11"), LOCK, catalog, AMD64)
    with pytest.raises(ImageError, match="against g00007: there is no generation 7; there are 2"):
        find_base(replace(lock, generation_id=7), LOCK, catalog, AMD64)


def test_a_lock_for_another_base_than_the_build_file_says_is_refused_with_both(catalog: Catalog) -> None:
    lock = lock_on(catalog, "python3.12-torch2.4.1-cu124")
    for said in ("", "2", "g00002"):
        refuse_other_base(lock, LOCK, said, "")
    refuse_other_base(lock, LOCK, "2", lock.environment)
    with pytest.raises(ImageError, match=r"against g00002, but the BUILD file says gen = 'g00003'"):
        refuse_other_base(lock, LOCK, "3", "")
    with pytest.raises(ImageError, match=r"against python3.12-torch2.4.1-cu124, but .* = 'python3.12'"):
        refuse_other_base(lock, LOCK, "", "python3.12")


def test_each_kind_of_environment_is_selected_by_its_own_variables(catalog: Catalog) -> None:
    environments = catalog.generation(2).for_machine("x86_64").environments
    found = [selecting_variables(2, one) for one in environments]
    assert {"MONOBASE_GEN_ID": "2", "PYTHON_VERSION": "3.12", "MONOBASE_STACK": "vllm==0.33.0"} in found
    plain = replace(environments[0], torch=None, build=None, cuda=None)
    assert selecting_variables(2, plain) == {"MONOBASE_GEN_ID": "2", "PYTHON_VERSION": "3.12"}
