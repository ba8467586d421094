"""`bazel run //tests/bench:layer_lock`: how long a layer lock takes, against `uv pip compile` of the same.

Both run here in turn, with one cache, against the index of this machine, so that the ratio means something
where the seconds do not. Both are processes, so that the start of Python counts.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

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
    "--runs", type=click.IntRange(min=1), default=5, show_default=True, help="Runs; the best counts."
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
        first_uv_s, first_ours_s = (min(times) for times in zip(*empty, strict=True))
        shared = Path(folder, "ours0")
        pairs = [(_compile_s(base, shared), _lock_s(catalog, base, shared)) for _ in range(runs)]
    uv_s, ours_s = (min(times) for times in zip(*pairs, strict=True))
    count = len(_REQUIREMENTS.read_text(encoding="utf-8").splitlines())
    click.echo(f"{count} requirements on {base.name}, {os.cpu_count()} cores, runs: {runs}")
    for name, before_s, after_s in (("empty cache", first_uv_s, first_ours_s), ("warm cache", uv_s, ours_s)):
        click.echo(
            f"{name:12} uv pip compile {before_s:6.2f} s, layer lock {after_s:6.2f} s, "
            f"ratio {after_s / before_s:.2f}"
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
