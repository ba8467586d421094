"""A synthetic generation of Torch environments, resolved by the project's own resolver."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from gens.generation import Environment, Generation, Inputs, format_generation
from gens.lock import Lock, format_lock
from tests.index.client import uv_environment
from tests.index.repository import pytorch_root
from tests.index.server import LocalIndex
from tests.index.torch_set import BENCH, RELEASES, TorchScale, publish_torch_set
from tests.synthetic.catalog import PLATFORM, TIME_BOUND
from tools.locking.batch import resolve_all
from tools.locking.resolver import Resolution, resolve
from tools.locking.uv_program import find_resolver

_SEEDS = ("pip", "setuptools", "wheel", "packaging", "cython")
_BUILDS = ("cu118", "cu121", "cu124", "cpu")


def write_torch_generation(
    index: LocalIndex,
    directory: Path,
    pythons: Sequence[str],
    count: int,
    *,
    scale: TorchScale = BENCH,
    jobs: int = 2,
) -> Generation:
    """Fill an index with Torch releases, and write a generation of environments with them.

    Args:
        index: Index to fill.
        directory: Where definitions and locks go, and the resolver's cache.
        pythons: Full versions of the interpreters that there are.
        count: How many environments.
        scale: How large the wheels are.
        jobs: How many resolutions run at a time.

    Returns:
        The generation, with ID 0.
    """
    minors = [_minor(python) for python in pythons]
    cells = [
        (python, release, build) for build in (None, *_BUILDS) for release in RELEASES for python in pythons
    ][:count]
    builds = sorted({build for _, _, build in cells if build is not None})
    releases = sorted({release for _, release, _ in cells})
    publish_torch_set(index, releases=releases, pythons=minors, builds=builds, scale=scale)
    environments = tuple(_environment(index, python, release, build) for python, release, build in cells)
    resolver = find_resolver(uv_environment(index, directory))
    outcomes = resolve_all(
        partial(resolve, resolver), [cell.inputs for cell in environments], jobs, lambda *_: None
    )
    generation = Generation(0, PLATFORM, TIME_BOUND, dict(zip(minors, pythons, strict=True)), environments)
    folder = directory / generation.directory_name
    folder.mkdir(parents=True, exist_ok=True)
    (directory / f"{generation.directory_name}.json").write_text(format_generation(generation))
    for cell in environments:
        outcome = outcomes[cell.inputs]
        if not isinstance(outcome, Resolution):
            raise outcome
        extra = () if cell.inputs.index_url is None else (cell.inputs.index_url,)
        lock = Lock(
            0,
            "environment",
            cell.name,
            cell.inputs.digest,
            resolver.name,
            TIME_BOUND,
            outcome.wheels,
            None,
            extra,
        )
        (folder / f"{cell.name}.txt").write_text(format_lock(lock))
    return generation


def _environment(index: LocalIndex, python: str, release: str, build: str | None) -> Environment:
    facts = RELEASES[release]
    local = "" if build is None else f"+{build}"
    packages = {"torch": release, "torchvision": facts.torchvision, "torchaudio": release}
    inputs = Inputs(
        python,
        PLATFORM,
        TIME_BOUND,
        (*(f"{name}=={version}{local}" for name, version in packages.items()), *_SEEDS),
        index_url=None if build is None else index.url(pytorch_root(build)),
        index_packages=() if build is None else tuple(packages),
    )
    tag = build or f"cu{''.join(facts.toolkit.split('.')[:2])}0"  # a name of its own beside the builds
    return Environment(_minor(python), python, inputs, release, tag, None)


def _minor(python: str) -> str:
    return ".".join(python.split(".")[:2])
