"""A catalog for the installer: generations whose locks name wheels of the local test index.

No resolver runs: a test says which wheels an environment holds.
"""

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gens.generation import Environment, Generation, Inputs, Target, Toolkit, format_generation
from gens.lock import Lock, LockedWheel, format_lock
from tests.index.wheel import Wheel, normalized

PLATFORM = "x86_64-manylinux_2_28"
OTHER_PLATFORM = "aarch64-manylinux_2_28"
TIME_BOUND = "2026-11-01T00:00:00Z"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHON_FULL = platform.python_version()


@dataclass(frozen=True, slots=True)
class Cell:
    """An environment or toolkit and what it holds.

    Attributes:
        target: The environment or toolkit.
        wheels: Its wheels.
    """

    target: Target
    wheels: tuple[Wheel, ...]


def environment_cell(
    wheels: Sequence[Wheel],
    torch: str | None = None,
    build: str = "cpu",
    *,
    python: str = PYTHON_FULL,
    index_url: str | None = None,
    index_packages: Sequence[str] = (),
) -> Cell:
    """Describe an environment that holds some wheels.

    Args:
        wheels: The wheels.
        torch: Torch release in its name; None for the plain environment of the Python.
        build: Build tag in its name.
        python: Full version of its interpreter.
        index_url: Index that serves `index_packages`.
        index_packages: Names of the packages that come from there.

    Returns:
        The cell.
    """
    inputs = Inputs(
        python,
        PLATFORM,
        TIME_BOUND,
        _requirements(wheels),
        index_url=index_url,
        index_packages=tuple(index_packages),
    )
    minor = ".".join(python.split(".")[:2])
    cuda = f"{build[2:-1]}.{build[-1]}" if torch is not None and build.startswith("cu") else None
    return Cell(Environment(minor, python, inputs, torch, build if torch else None, cuda), tuple(wheels))


def stack_cell(cell: Cell, stack: str, version: str | None = None) -> Cell:
    """Describe the environment of a stack.

    Args:
        cell: An environment with its wheels and its Torch.
        stack: Name of the stack.
        version: Version of the package that the stack is named after.
    """
    if not isinstance(cell.target, Environment):
        raise TypeError(f"{cell.target.name} is not an environment")
    return Cell(replace(cell.target, stack=stack, stack_version=version), cell.wheels)


def on_platform(cell: Cell, platform: str = OTHER_PLATFORM) -> Cell:
    """Describe the same environment or toolkit for another platform."""
    inputs = replace(cell.target.inputs, platform=platform)
    return Cell(replace(cell.target, inputs=inputs), cell.wheels)


def toolkit_cell(wheels: Sequence[Wheel], full_version: str, cuda_major: str | None = None) -> Cell:
    """Describe a CUDA toolkit, or a cuDNN for a CUDA major version.

    Args:
        wheels: The wheels.
        full_version: Such as `12.4.1`, or `9.1.0.70` for cuDNN.
        cuda_major: For cuDNN, the CUDA major version; None for CUDA itself.

    Returns:
        The cell.
    """
    inputs = Inputs(PYTHON_FULL, PLATFORM, TIME_BOUND, _requirements(wheels), no_deps=cuda_major is not None)
    if cuda_major is None:
        version = ".".join(full_version.split(".")[:2])
        return Cell(Toolkit("cuda", version, full_version, inputs), tuple(wheels))
    return Cell(
        Toolkit("cudnn", full_version.partition(".")[0], full_version, inputs, cuda_major), tuple(wheels)
    )


def cells(*wheels: Wheel, torch: tuple[str, ...] = ()) -> list[Cell]:
    """Describe a generation: the plain environment, and one for each Torch release with the same wheels."""
    return [environment_cell(wheels), *(environment_cell(wheels, torch=release) for release in torch)]


def locked_wheel(wheel: Wheel) -> LockedWheel:
    """Return a wheel as a lock names it."""
    return LockedWheel(
        normalized(wheel.spec.name), wheel.spec.version, wheel.sha256, wheel.filename, wheel.size_bytes
    )


def write_catalog(directory: Path, generations: Mapping[int, Sequence[Cell]]) -> Path:
    """Write definitions and locks as the installer reads them.

    Args:
        directory: Where to; made if it does not exist.
        generations: The cells of each generation, by its ID.

    Returns:
        The directory.
    """
    for number, cells in generations.items():
        environments = tuple(cell.target for cell in cells if isinstance(cell.target, Environment))
        toolkits = tuple(cell.target for cell in cells if isinstance(cell.target, Toolkit))
        platforms = sorted({cell.target.inputs.platform for cell in cells} or {PLATFORM}, reverse=True)
        generation = Generation(
            number,
            platforms[0],
            TIME_BOUND,
            {environment.python: environment.python_full for environment in environments},
            environments,
            toolkits,
            further_platforms=tuple(platforms[1:]),
        )
        folder = directory / generation.directory_name
        folder.mkdir(parents=True, exist_ok=True)
        (directory / f"{generation.directory_name}.json").write_text(format_generation(generation))
        for cell in cells:
            path = folder / cell.target.lock_name
            path.parent.mkdir(exist_ok=True)
            path.write_text(format_lock(_lock(number, cell)))
    return directory


def _requirements(wheels: Sequence[Wheel]) -> tuple[str, ...]:
    return tuple(sorted(f"{normalized(wheel.spec.name)}=={wheel.spec.version}" for wheel in wheels))


def _lock(number: int, cell: Cell) -> Lock:
    inputs = cell.target.inputs
    wheels = tuple(
        locked_wheel(wheel) for wheel in sorted(cell.wheels, key=lambda wheel: normalized(wheel.spec.name))
    )
    extra = () if inputs.index_url is None else (inputs.index_url,)
    return Lock(
        number,
        cell.target.kind,
        cell.target.name,
        inputs.digest,
        "uv 0.13.9",
        TIME_BOUND,
        wheels,
        None,
        extra,
    )
