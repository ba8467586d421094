"""`bazel run //tests/bench:layer_lock`: how long a layer lock takes, against `uv pip compile` of the same.

Both run here in turn, with one cache, against the index of this machine, so that the ratio means something
where the seconds do not: the median of the ratios of pairs. Both are processes, so that the start of Python
counts. `lock` resolves twice at once, with the pins of the base and without, so that a machine with one free
core shows about twice the ratio of a machine with two.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import click
import uv

from gens.catalog import Catalog, load_catalog
from gens.command import MonobaseCommand
from tools.layer.base import Base, find_base, find_generation

# Of a day on which the requirements fit the default environment.
_DATE = "2026-11-25T00:00:00Z"
_COLD_RUNS = 3
_REQUIREMENTS = Path(__file__).with_name("layer_requirements.in")


@click.command(cls=MonobaseCommand)
@click.option("--gen", "generation_id", type=int, default=2, show_default=True, help="Generation.")
@click.option("--env", "environment", default="3.12-torch2.13.0", show_default=True, help="Environment.")
@click.option(
    "--runs", type=click.IntRange(min=1), default=11, show_default=True, help="Pairs with a warm cache."
)
def main(*, generation_id: int, environment: str, runs: int) -> None:
    """Time a lock of 60 requirements with an empty and with a warm cache."""
    catalog = load_catalog()
    base = find_base(catalog, find_generation(catalog, generation_id, "x86_64"), environment)
    with tempfile.TemporaryDirectory(prefix="monobase-bench-") as folder:
        empty = [
            (
                _compile_s(base, Path(folder, f"reference{number}")),
                _lock_s(catalog, base, Path(folder, f"ours{number}")),
            )
            for number in range(_COLD_RUNS)
        ]
        shared = Path(folder, "ours0")
        warm = [(_compile_s(base, shared), _lock_s(catalog, base, shared)) for _ in range(runs)]
    count = len(_REQUIREMENTS.read_text(encoding="utf-8").splitlines())
    click.echo(f"{count} requirements on {base.name}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    _print("empty cache", empty)
    _print("warm cache", warm)


def _print(name: str, pairs: list[tuple[float, float]]) -> None:
    uv_s, ours_s = (median(times) for times in zip(*pairs, strict=True))
    ratio = median(ours / reference for reference, ours in pairs)
    click.echo(
        f"{name:12} uv pip compile {uv_s:6.2f} s, layer lock {ours_s:6.2f} s, ratio {ratio:.2f} "
        f"(medians of {len(pairs)} pairs)"
    )


def _compile_s(base: Base, folder: Path) -> float:
    inputs = base.environment.inputs
    command = [uv.find_uv_bin(), "pip", "compile", str(_REQUIREMENTS), "--quiet", "--generate-hashes"]
    command += ["--only-binary=:all:", "--python", sys.executable, "--python-version", inputs.python]
    command += ["--python-platform", inputs.platform, "--exclude-newer", _DATE]
    return _elapsed_s(command, folder)


def _lock_s(catalog: Catalog, base: Base, folder: Path) -> float:
    lock = folder / "model.lock"
    lock.unlink(missing_ok=True)
    command = [sys.executable, "-m", "tools.layer.cli", "lock", str(_REQUIREMENTS), "--output", str(lock)]
    command += ["--gen", str(base.generation.id), "--env", base.environment.name]
    command += ["--exclude-newer", _DATE]
    command += ["--definitions", str(catalog.locks_directory), "--locks", str(catalog.locks_directory)]
    return _elapsed_s(command, folder)


def _elapsed_s(command: Sequence[str], folder: Path) -> float:
    folder.mkdir(exist_ok=True)
    environment = os.environ | {
        "UV_CACHE_DIR": str(folder / "cache"),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    started_s = time.monotonic()
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    elapsed_s = time.monotonic() - started_s
    if process.returncode != 0:
        sys.exit(f"{command[0]} failed:\n{process.stderr}")
    return elapsed_s


if __name__ == "__main__":
    main()
