"""`bazel run //tests/bench:cold_start`: from nothing to `import torch`, a monolithic image against Monobase.

A registry, a package index and a mirror of interpreters on loopback stand behind one token bucket of 1 and of
10 Gbit/s. podman starts a model: (a) a monolithic image; (b) Monobase's on a node that has nothing; (c) on a
node that has the environment of the generation before, (c2) one with an earlier Torch; (d) warm. Peers that
can be run here stand in the same table. The model is synthetic (300 MB), with `--real` Torch 2.13.0 (2.8 GB).
"""

import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from image.oci.layout import read_layout
from tests.bench.cold_start.calibration import Calibration, calibrate
from tests.bench.cold_start.cases import Bench, pull_and_import, start_beside, start_on_empty_node
from tests.bench.cold_start.images import Images, at_start, monolith, pip_at_start, uv_at_start
from tests.bench.cold_start.measurement import Case, Sample, bytes_per_s
from tests.bench.cold_start.picture import draw
from tests.bench.cold_start.report import HEAD, json_of, markdown_of, ratios_of, table_of
from tests.bench.cold_start.subject import Subject, real_subject, synthetic_subject
from tests.bench.cold_start.supply import Supply, running_supply
from tests.images.release import write_release
from tests.synthetic.catalog import PYTHON_FULL

_PATH = click.Path(path_type=Path, exists=True)
_OUTPUT = click.Path(path_type=Path)
_CALIBRATION_S = 3.0
_REAL_PYTHON_FULL = "3.11.18"
_REAL_DISK_BYTES = 16_000_000_000
_DISK_BYTES = 4_000_000_000
_WIDE = 200
_DEFAULT = ("a", "u", "p", "b", "c", "c2")
_WHAT = {
    "a": "nothing; pulls a monolithic image",
    "a2": "the image of the generation before; pulls a monolithic image",
    "z": "nothing; pulls a monolithic image in zstd:chunked",
    "z2": "the image of the generation before; the same in zstd:chunked",
    "u": "nothing; pulls a base image, `uv pip install` at the start",
    "p": "nothing; pulls a base image, `pip install` at the start",
    "b": "nothing; Monobase",
    "c": "the environment of the generation before; Monobase",
    "c2": "an environment with an earlier Torch; Monobase",
    "d": "the environment; Monobase",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """The command line.

    Attributes:
        daemon: Layout of the daemon's image.
        runtime: Layout of the image of models.
        real_wheels: Folder with the wheels of a real Torch; None for the synthetic one.
        gens: Definitions and locks of the real generations.
        bandwidths: In Gbit/s.
        rounds: How often each case is measured.
        keys: The cases.
        directory: Where to work.
        registry_directory: Where the registry keeps images.
        svg: The picture to write.
        json_path: The file of figures to write.
        markdown: Whether the table is printed as Markdown.
    """

    daemon: Path
    runtime: Path
    real_wheels: Path | None
    gens: Path | None
    bandwidths: tuple[float, ...]
    rounds: int
    keys: tuple[str, ...]
    directory: Path | None
    registry_directory: Path | None
    svg: Path | None
    json_path: Path | None
    markdown: bool

    @property
    def cells(self) -> tuple[str, ...]:
        """The cases that are measured."""
        return self.keys or _DEFAULT

    @property
    def needed_bytes(self) -> int:
        """Room that the run takes at its peak, as seen, and some more."""
        return _DISK_BYTES if self.real_wheels is None else _REAL_DISK_BYTES


@click.command()
@click.argument("daemon", type=_PATH)
@click.argument("runtime", type=_PATH)
@click.option(
    "--real", "real_wheels", type=_PATH, metavar="WHEELS", help="Torch 2.13.0: a folder of its wheels."
)
@click.option("--gens", type=_PATH, help="Definitions and locks, for a run without Bazel.")
@click.option("--gbit", "bandwidths", multiple=True, type=float, default=(1, 10), show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="The median counts.")
@click.option(
    "--case", "keys", multiple=True, type=click.Choice(list(_WHAT)), help="Default: those of the page."
)
@click.option("--directory", type=_PATH, help="Where to work; it needs room.")
@click.option(
    "--registry-directory", type=_OUTPUT, help="Where the registry keeps images, also for later runs."
)
@click.option("--svg", type=_OUTPUT, help="Draw the picture.")
@click.option("--json", "json_path", type=_OUTPUT, help="Write all figures.")
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
def main(**values: Any) -> None:  # noqa: ANN401 (as click has them)
    """Measure cold starts; the Bazel target passes DAEMON and RUNTIME, the layouts of the images."""
    settings = Settings(**values)
    for program in ("docker-registry", "podman", "runc"):
        if shutil.which(program) is None:
            raise click.ClickException(f"{program} is not on the PATH; the toolbox of ./bazelw has it")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    with (
        tempfile.TemporaryDirectory(prefix="monobase-bench-", dir=settings.directory) as folder,
    ):
        _check_room(Path(folder), settings.needed_bytes)
        pythons = (PYTHON_FULL,) if settings.real_wheels is None else (_REAL_PYTHON_FULL,)
        with running_supply(
            Path(folder), settings.registry_directory or Path(folder) / "registry", pythons
        ) as supply:
            calibrations = [
                calibrate(supply.link, bytes_per_s(rate), _CALIBRATION_S) for rate in settings.bandwidths
            ]
            supply.link.reset(None)
            try:
                bench = _prepare(settings, supply, Path(folder) / "images")
                cases = _measure(bench, settings)
            except AssertionError as error:  # of the tests' podman: an exit code that was not expected
                raise click.ClickException(str(error)) from error
    if settings.markdown:
        click.echo(markdown_of(HEAD, table_of(cases)))
    _report(console, bench.subject, calibrations, cases)
    _write(settings, bench.subject, calibrations, cases)


def _check_room(folder: Path, needed_bytes: int) -> None:
    room = os.statvfs(folder)
    free_bytes = room.f_bavail * room.f_frsize
    if free_bytes < needed_bytes:
        raise click.ClickException(
            f"{folder}: about {needed_bytes:,} bytes are needed, {free_bytes:,} are free; "
            "name a folder with more room with --directory"
        )


def _prepare(settings: Settings, supply: Supply, directory: Path) -> Bench:
    """Fill the servers: wheels, Monobase's images, and those of a model without it."""
    directory.mkdir()
    if settings.real_wheels is None:
        subject = synthetic_subject(supply.index)
    else:
        subject = real_subject(supply.index, settings.real_wheels, settings.gens)
    images = Images(supply.registry, directory, supply.index.url())
    daemon, runtime = (read_layout(path.absolute()) for path in (settings.daemon, settings.runtime))
    names = [
        images.push_layout(write_release(daemon, cells, directory / tag), "daemon", tag)
        for tag, cells in (("before", subject.before), ("after", subject.after))
    ]
    bench = Bench(subject, supply, names[0], names[1], images.push_layout(runtime, "runtime"))
    cells = [subject.cell]
    if {"a2", "z2"} & set(settings.cells):
        cells.append(subject.earlier_generation)
    if set("apuz") & set("".join(settings.cells)):
        zstd = "z" in "".join(settings.cells)
        images.push_monoliths(runtime, cells, zstd_chunked=zstd)
    return bench


def _measure(bench: Bench, settings: Settings) -> list[Case]:
    """Measure all cases, in turn, so that a change of the machine's load meets all of them."""
    found: dict[tuple[float, str], list[Sample]] = {}
    for gbit_per_s in settings.bandwidths:
        for number in range(settings.rounds):
            for key in settings.cells:
                if key == "d":
                    continue
                began_s = time.monotonic()
                samples = _run(bench, key, gbit_per_s)
                for name, several in samples.items():
                    found.setdefault((gbit_per_s, name), []).extend(several)
                sample = samples[key][0]
                click.echo(
                    f"{gbit_per_s:g} Gbit/s, round {number + 1}, ({key}): {sample.wall_s:.1f} s, "
                    f"{sample.wire_bytes / 1e6:.1f} MB ({sample.detail}); "
                    f"with its preparation {time.monotonic() - began_s:.0f} s",
                    err=True,
                )
    order = list(_WHAT)
    return [
        Case(key, _WHAT[key], gbit_per_s, tuple(samples))
        for (gbit_per_s, key), samples in sorted(
            found.items(), key=lambda item: (item[0][0], order.index(item[0][1]))
        )
    ]


def _run(bench: Bench, key: str, gbit_per_s: float) -> dict[str, list[Sample]]:
    """Run one round of a case; the start on an empty node also gives the warm starts."""
    if key == "b":
        first, others = start_on_empty_node(bench, gbit_per_s)
        return {"b": [first], "d": others}
    if key in {"c", "c2"}:
        subject = bench.subject
        held = subject.earlier_generation if key == "c" else subject.earlier_torch
        return {key: [start_beside(bench, gbit_per_s, held)]}
    index_url = bench.supply.index_url
    cell, before = bench.subject.cell, bench.subject.earlier_generation
    name, command, has = {
        "a": (monolith(cell), (), ()),
        "a2": (monolith(cell), (), (monolith(before),)),
        "z": (monolith(cell, zstd_chunked=True), (), ()),
        "z2": (monolith(cell, zstd_chunked=True), (), (monolith(before, zstd_chunked=True),)),
        "u": (at_start(cell), uv_at_start(index_url), ()),
        "p": (at_start(cell), pip_at_start(index_url), ()),
    }[key]
    return {key: [pull_and_import(bench, gbit_per_s, name, command=command, held=has)]}


def _report(
    console: Console, subject: Subject, calibrations: Sequence[Calibration], cases: Sequence[Case]
) -> None:
    title = f"{subject.name}, {subject.wheel_bytes / 1e6:,.1f} MB of wheels"
    table = Table(*HEAD, title=title, title_justify="left")
    for row in table_of(cases):
        table.add_row(*row)
    console.print(table)
    for item in calibrations:
        console.print(
            f"calibration: the link was set to {item.asked_bytes_per_s / 125e6:g} Gbit/s and carried "
            f"{item.reached_bytes_per_s / 125e6:.3f}"
        )
    for ratio in ratios_of(cases):
        console.print(f"{ratio.measure}: {ratio.value:.4f} (to reach: ≤ {ratio.limit:g}): {ratio.verdict}")


def _write(
    settings: Settings, subject: Subject, calibrations: Sequence[Calibration], cases: Sequence[Case]
) -> None:
    # `bazel run` starts in a folder of Bazel's: what the caller names is meant from theirs.
    base = Path(os.environ.get("BUILD_WORKING_DIRECTORY", "."))
    if settings.svg is not None:
        draw(cases, f"From nothing to `import torch`: {subject.name}", base / settings.svg)
    if settings.json_path is not None:
        facts = {
            "subject": subject.name,
            "wheel_bytes": subject.wheel_bytes,
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}",
            "load": os.getloadavg(),
            "calibrations": [asdict(item) for item in calibrations],
        }
        (base / settings.json_path).write_text(json_of(cases, facts))


if __name__ == "__main__":
    main()
