"""`bazel run //tests/bench:update`: how fast locks are made, against one `uv pip compile` after another.

Both ways run here, one after the other, from empty caches and against the index of this machine, so that
the ratio means something where the seconds do not.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import uv

from gens.catalog import load_catalog
from gens.command import MonobaseCommand
from gens.generation import Generation, Inputs, format_generation
from tools.update import main as update


@click.command(cls=MonobaseCommand)
@click.option("--gen", "generation_id", type=int, help="Generation to lock.  [default: the newest]")
@click.option(
    "--runs", type=click.IntRange(min=1), default=1, show_default=True, help="Runs of each, the best counts."
)
def main(*, generation_id: int | None, runs: int) -> None:
    """Time the locks of one generation: one by one, by Monobase, and by Monobase with nothing to do."""
    catalog = load_catalog()
    generation = catalog.generations[-1] if generation_id is None else catalog.generation(generation_id)
    one_by_one_s = cold_s = unchanged_s = float("inf")
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="monobase-bench-") as folder:
            reference, ours = Path(folder, "reference"), Path(folder, "ours")
            one_by_one_s = min(one_by_one_s, _elapsed_s(compile_one_by_one, generation, reference))
            cold_s = min(cold_s, _elapsed_s(run_update, generation, ours))
            unchanged_s = min(unchanged_s, _elapsed_s(run_update, generation, ours))
    click.echo(
        f"{generation.directory_name}, {len(generation.targets)} locks, {os.cpu_count()} cores, runs: {runs}"
    )
    click.echo(f"one after another, empty cache  {one_by_one_s:7.1f} s")
    for name, elapsed_s in (("empty cache", cold_s), ("nothing changed", unchanged_s)):
        click.echo(f"update, {name:22}  {elapsed_s:7.1f} s   {one_by_one_s / elapsed_s:5.1f} times faster")


def compile_one_by_one(generation: Generation, folder: Path) -> None:
    """Lock as the reference implementation does: one `uv pip compile` for each target, one after another.

    Args:
        generation: What to lock.
        folder: A folder of the run's own.
    """
    folder.mkdir()
    for target in generation.targets:
        _compile(target.inputs, folder)


def run_update(generation: Generation, folder: Path) -> None:
    """Lock with `tools:update`, table checks included.

    Args:
        generation: What to lock.
        folder: A folder of the run's own; what an earlier call left there is found again.
    """
    folder.mkdir(exist_ok=True)
    (folder / f"{generation.directory_name}.json").write_text(format_generation(generation))
    os.environ["UV_CACHE_DIR"] = str(folder / "cache")
    arguments = ["--min-gen-id", str(generation.id), "--definitions", str(folder), "--locks", str(folder)]
    if update.main(arguments, standalone_mode=False):
        sys.exit("update failed")


def _compile(inputs: Inputs, folder: Path) -> None:
    command = [uv.find_uv_bin(), "pip", "compile", "-", "--quiet", "--generate-hashes", "--only-binary=:all:"]
    command += ["--python", sys.executable, "--python-version", inputs.python]
    command += ["--python-platform", inputs.platform, "--exclude-newer", inputs.exclude_newer]
    if inputs.no_deps:
        command.append("--no-deps")
    requirements = "\n".join((*inputs.requirements, *inputs.constraints))
    environment = os.environ | {"UV_CACHE_DIR": str(folder / "cache")}
    subprocess.run(
        command, input=requirements, env=environment, text=True, check=True, stdout=subprocess.DEVNULL
    )


def _elapsed_s(action: Callable[[Generation, Path], None], generation: Generation, folder: Path) -> float:
    started_s = time.monotonic()
    action(generation, folder)
    return time.monotonic() - started_s


if __name__ == "__main__":
    main()
