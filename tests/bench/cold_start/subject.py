"""The environments that the benchmark installs, and the wheels that they are made of."""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from gens.catalog import Catalog, load_catalog
from gens.generation import Environment, Generation, Inputs
from gens.lock import Lock, LockedWheel
from tests.index.cuda_set import CudaScale
from tests.index.server import LocalIndex
from tests.index.torch_set import RELEASES, TorchScale, publish_torch_set
from tests.index.wheel import Wheel, WheelSpec
from tests.synthetic.catalog import PYTHON, Cell, environment_cell

# About 300 MB of wheels, with as many small files as a tenth of the real Torch has.
_SCALE = TorchScale(1200, 2400, 48 << 20, CudaScale(3 << 20, 40))
_TORCH, _EARLIER_TORCH = "2.6.0", "2.5.1"
_BUILD = "cu124"
# Packages that a generation brings in another version, as generation 3 does after generation 2.
_UPDATED = ("cython", "filelock", "packaging", "pip", "setuptools")
_REAL_GENERATIONS = (2, 3)
_REAL = "python3.11-torch2.13.0-cu130"
_REAL_EARLIER_TORCH = "python3.11-torch2.12.1-cu130"


@dataclass(frozen=True, slots=True)
class Subject:
    """The environment that a model asks for, and those that a node may have before.

    Attributes:
        name: What the report calls the model.
        before: Cells of each generation that the node's daemon knows before the roll-out.
        after: Cells of each generation that it knows after it.
        generation_id: The generation that the model asks for.
        cell: The environment that it asks for.
        earlier_generation: The environment of the same name, one generation before.
        earlier_torch: An environment with an earlier Torch release, of the same generation.
    """

    name: str
    before: Mapping[int, Sequence[Cell]]
    after: Mapping[int, Sequence[Cell]]
    generation_id: int
    cell: Cell
    earlier_generation: Cell
    earlier_torch: Cell

    @property
    def environment(self) -> Environment:
        """The environment that the model asks for."""
        if not isinstance(self.cell.target, Environment):
            raise TypeError(self.cell.target.name)
        return self.cell.target

    @property
    def wheel_bytes(self) -> int:
        """Size of the wheels of the environment."""
        return sum(wheel.size_bytes for wheel in self.cell.wheels)

    def missing_bytes(self, held: Cell) -> int:
        """Return the size of the wheels that a node with another environment lacks."""
        has = {wheel.sha256 for wheel in held.wheels}
        return sum(wheel.size_bytes for wheel in self.cell.wheels if wheel.sha256 not in has)


def synthetic_subject(index: LocalIndex) -> Subject:
    """Fill an index with a synthetic Torch of two releases and two generations of packages."""
    published = publish_torch_set(index, releases=[_EARLIER_TORCH, _TORCH], pythons=[PYTHON], scale=_SCALE)
    new, earlier_torch = (_of_release(published, release) for release in (_TORCH, _EARLIER_TORCH))
    updates = {
        wheel.spec.name: index.add(_earlier(wheel.spec)) for wheel in new if wheel.spec.name in _UPDATED
    }
    old = tuple(updates.get(wheel.spec.name, wheel) for wheel in new)
    cells = (
        environment_cell(old, _TORCH, _BUILD),
        environment_cell(new, _TORCH, _BUILD),
        environment_cell(earlier_torch, _EARLIER_TORCH, _BUILD),
    )
    return _subject(f"synthetic Torch {_TORCH}", 0, *cells)


def real_subject(index: LocalIndex, wheels: Path, gens: Path | None) -> Subject:
    """Fill an index with a real Torch of the two newest generations.

    Args:
        index: The index.
        wheels: The folder with the wheels of three locks.
        gens: Definitions and locks; None for those of the Bazel target.

    Raises:
        ClickException: A wheel is missing, or of another size than its lock says.
    """
    catalog = load_catalog(gens)
    published: dict[str, Wheel] = {}
    old, new = (catalog.generation(number) for number in _REAL_GENERATIONS)
    cells = [
        _real_cell(index, wheels, catalog, generation, name, published)
        for generation, name in ((old, _REAL), (new, _REAL), (new, _REAL_EARLIER_TORCH))
    ]
    return _subject(f"{new.directory_name}/{_REAL}", old.id, *cells)


def _subject(name: str, old_id: int, old: Cell, new: Cell, earlier_torch: Cell) -> Subject:
    before = {old_id: [old]}
    return Subject(
        name,
        before,
        {**before, old_id + 1: [new, earlier_torch]},
        old_id + 1,
        new,
        old,
        earlier_torch,
    )


def _of_release(wheels: Sequence[Wheel], version: str) -> tuple[Wheel, ...]:
    """Return the wheels of one Torch release: those that all releases share, and its own."""
    release = RELEASES[version]
    own = {
        "torch": version, "torchaudio": version, "torchvision": release.torchvision, "triton": release.triton,
    }  # fmt: skip
    return tuple(
        wheel for wheel in wheels if own.get(wheel.spec.name, wheel.spec.version) == wheel.spec.version
    )


def _earlier(spec: WheelSpec) -> WheelSpec:
    return WheelSpec(spec.name, f"{spec.version}.dev1", files=spec.files)


def _real_cell(
    index: LocalIndex,
    folder: Path,
    catalog: Catalog,
    generation: Generation,
    name: str,
    published: dict[str, Wheel],
) -> Cell:
    environment = next(item for item in generation.environments if item.name == name)
    lock = catalog.lock(generation, environment)
    for locked in lock.wheels:
        if locked.sha256 not in published:
            published[locked.sha256] = index.add(_real_wheel(folder, locked, lock))
    wheels = tuple(published[locked.sha256] for locked in lock.wheels)
    # Only what decides the installation counts; the resolver is not asked again.
    requirements = tuple(f"{locked.name}=={locked.version}" for locked in lock.wheels)
    inputs = Inputs(
        environment.python_full, environment.inputs.platform, environment.inputs.exclude_newer, requirements
    )
    target = Environment(
        environment.python, environment.python_full, inputs, environment.torch, environment.build,
        environment.cuda,
    )  # fmt: skip
    return Cell(target, wheels)


def _real_wheel(folder: Path, locked: LockedWheel, lock: Lock) -> Wheel:
    path = folder / locked.filename
    if not path.exists() or path.stat().st_size != locked.size_bytes:
        raise click.ClickException(
            f"{path}: is not there with the {locked.size_bytes} bytes that the lock of generation "
            f"{lock.generation_id}, {lock.target}, names; "
            f"`pip download --no-deps --require-hashes --dest {folder}` fetches the wheels of a lock"
        )
    with zipfile.ZipFile(path) as archive:
        name = next(item for item in archive.namelist() if item.endswith(".dist-info/METADATA"))
        metadata = archive.read(name)
    spec = WheelSpec(locked.name, locked.version)
    return Wheel(spec, path, locked.size_bytes, locked.sha256, metadata)
