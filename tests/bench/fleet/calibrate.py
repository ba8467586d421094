"""`bazel run //tests/bench/fleet:calibrate`: the model against real daemons.

Nodes are network namespaces of this machine, each with a prefix of its own, in which the real daemon installs
a synthetic generation from one server, all at once. `tc` limits what the server sends. What nodes need
besides the fetch is measured just before, without a limit and with as many nodes, as they share the
processors of this machine. From that, the bytes and the limit, the model predicts the rest. Needs root.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tests.bench.fleet.assumptions import Assumptions, Machine, Network, Way
from tests.bench.fleet.model import run_model
from tests.bench.fleet.namespaces import Namespaces, inside, network
from tests.bench.fleet.report import markdown_of
from tests.bench.fleet.wheel_server import index_server, registry_server
from tests.index.wheel import Wheel, WheelSpec, write_wheel
from tests.synthetic.catalog import environment_cell, write_catalog

_WHEELS = 8
_PATIENCE_S = 1800
# Ethernet, IP and TCP headers of full packets, which `tc` counts: 1514 bytes for 1448.
_HEADERS = 1514 / 1448
_PIECES = 64
_TOLERANCE = 0.2
_HEAD = ("nodes", "predicted", "measured", "measured ÷ predicted", "copies sent", "within 20 %")


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured install of some nodes at once.

    Attributes:
        nodes: Number of nodes.
        seconds: From the start of the first daemon until the last one had ended.
        besides_s: The same without the stage in which it downloads, of the node with the most.
        cpu_s: Processor seconds of all daemons and their children.
        sent_bytes: Bytes that the server sent, with headers.
        load: The machine's load at the end.
    """

    nodes: int
    seconds: float
    besides_s: float
    cpu_s: float
    sent_bytes: int
    load: float


@dataclass(frozen=True, slots=True)
class Supply:
    """The generation that nodes install, and its index.

    Attributes:
        tree: A folder with the pages and files of an index.
        gens: The definitions and locks.
        size_bytes: Bytes of all wheels.
        options: Options of the daemon that name the server.
    """

    tree: Path
    gens: Path
    size_bytes: int
    options: tuple[str, ...] = ()


@click.command()
@click.option(
    "--nodes", type=click.IntRange(1), multiple=True, default=(1, 2, 4, 8), show_default=True,
    help="How many nodes install at once; may be repeated.",
)  # fmt: skip
@click.option("--mbit", type=click.IntRange(1), default=20, show_default=True, help="Of the server's link.")
@click.option("--size-mb", type=click.IntRange(1), default=24, show_default=True, help="Of all wheels.")
@click.option("--registry", is_flag=True, help="Serve from docker-registry instead of a folder of files.")
@click.option(
    "--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="File for all figures."
)
@click.option("--markdown", is_flag=True, help="Print the table in Markdown.")
def main(
    nodes: tuple[int, ...], mbit: int, size_mb: int, registry: bool, json_path: Path | None, markdown: bool
) -> None:  # fmt: skip
    """Compare the model with real daemons; exit with 1 if it is off by more than a fifth."""
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="monobase-fleet-") as folder:
        supply = make_supply(Path(folder), size_mb * 1_000_000)
        serving = registry_server if registry else index_server
        with network(max(nodes)) as found, serving(found, supply.tree) as options:
            supply = replace(supply, options=tuple(options))
            samples: list[Sample] = []
            free: list[Sample] = []
            for count in sorted(nodes):
                for limit, kept in ((None, free), (mbit * 1_000_000, samples)):
                    found.limit(limit)
                    kept.append(_measure(found, supply, Path(folder), count))
                    console.print(said_of(kept[-1], limit))
    predicted = [predict(supply.size_bytes, mbit, each) for each in free]
    rows = rows_of(supply.size_bytes, samples, predicted)
    if markdown:
        print(markdown_of(_HEAD, rows))
    else:
        table = Table(*_HEAD)
        for row in rows:
            table.add_row(*row)
        Console().print(table)
    if json_path is not None:
        facts = {
            "mbit": mbit,
            "size_bytes": supply.size_bytes,
            "without_limit": [asdict(each) for each in free],
        }
        entries = [
            {**asdict(each), "predicted_s": time_s} for each, time_s in zip(samples, predicted, strict=True)
        ]
        here = Path(os.environ.get("BUILD_WORKING_DIRECTORY", "."))  # where `bazel run` was called
        (here / json_path).write_text(json.dumps({**facts, "samples": entries}, indent=2) + "\n")
    sys.exit(any(row[-1] == "no" for row in rows))


def said_of(sample: Sample, limit: int | None) -> str:
    """Return a measured install as a line for people."""
    rate = f"{limit // 1_000_000} Mbit/s" if limit else "no limit"
    return (
        f"{sample.nodes} nodes, {rate}: {sample.seconds:.1f} s, "
        f"{sample.besides_s:.1f} s of them besides the fetch; "
        f"{sample.cpu_s:.1f} s of processor, {sample.sent_bytes / 1e6:.1f} MB sent, load {sample.load:.0f}"
    )


def predict(size_bytes: int, mbit: float, free: Sample) -> float:
    """Return the seconds that the model predicts.

    Args:
        size_bytes: Bytes of all wheels.
        mbit: Of the server's link, in 10^6 bits a second.
        free: As many nodes without a limit.
    """
    link = mbit * 1e6 / 8 / _HEADERS
    assumptions = Assumptions(
        nodes=free.nodes, size_bytes=size_bytes, wheels=_WHEELS, pieces=_PIECES,
        network=Network(registry=link, node=1e12),
        machine=Machine(unpack=1e12, disk=1e12, start_s=0, tail_s=free.besides_s),
    )  # fmt: skip
    return run_model(Way.REGISTRY, assumptions).seconds


def rows_of(size_bytes: int, samples: Sequence[Sample], predicted: Sequence[float]) -> list[tuple[str, ...]]:
    """Return the rows of the table."""
    rows: list[tuple[str, ...]] = []
    for sample, seconds in zip(samples, predicted, strict=True):
        ratio = sample.seconds / seconds
        rows.append(
            (
                f"{sample.nodes}", f"{seconds:.1f} s", f"{sample.seconds:.1f} s", f"{ratio:.2f}",
                f"{sample.sent_bytes / _HEADERS / size_bytes:.2f}",
                "yes" if abs(ratio - 1) <= _TOLERANCE else "no",
            )
        )  # fmt: skip
    return rows


def make_supply(folder: Path, size_bytes: int) -> Supply:
    """Write wheels that do not compress, the pages of an index for them, and a generation."""
    tree, gens = folder / "tree", folder / "gens"
    wheels = [_wheel(folder / "wheels", number, size_bytes // _WHEELS) for number in range(_WHEELS)]
    for wheel in wheels:
        file = tree / "files" / wheel.sha256 / wheel.filename
        page = tree / "simple" / wheel.spec.name / "index.html"
        for each in (file, page):
            each.parent.mkdir(parents=True)
        os.link(wheel.path, file)
        link = f"../../files/{wheel.sha256}/{wheel.filename}#sha256={wheel.sha256}"
        page.write_text(f'<!DOCTYPE html><html><body><a href="{link}">{wheel.filename}</a></body></html>\n')
    write_catalog(gens, {0: [environment_cell(wheels)]})
    return Supply(tree, gens, sum(wheel.size_bytes for wheel in wheels))


def _wheel(folder: Path, number: int, size_bytes: int) -> Wheel:
    name = f"part{number}"
    files = {f"{name}/__init__.py": b"", f"{name}/data.bin": os.urandom(size_bytes)}
    return write_wheel(WheelSpec(name, "1.0", files=files), folder)


def _measure(found: Namespaces, supply: Supply, folder: Path, count: int) -> Sample:
    """Install on so many empty nodes at once."""
    before = found.sent_bytes()
    began_s = time.monotonic()
    processes = [_start(found.nodes[number], supply, folder / f"node{number}") for number in range(count)]
    cpu_s = besides_s = 0.0
    for number, process in enumerate(processes):
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu_s += usage.ru_utime + usage.ru_stime
        log = (folder / f"node{number}" / "log").read_text()
        besides_s = max(besides_s, time.monotonic() - began_s - _fetch_s(log))
        if process.returncode:
            raise click.ClickException(f"node {number} ended with {process.returncode}:\n{log}")
    seconds = time.monotonic() - began_s
    sent_bytes = found.sent_bytes() - before
    for number in range(count):
        shutil.rmtree(folder / f"node{number}")
    return Sample(count, seconds, besides_s, cpu_s, sent_bytes, os.getloadavg()[0])


def _fetch_s(log: str) -> float:
    """Return the seconds of the stage in which a daemon downloaded."""
    entries = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return sum(float(entry["seconds"]) for entry in entries if entry.get("stage") == "fetch")


def _start(namespace: str, supply: Supply, folder: Path) -> "subprocess.Popen[bytes]":
    folder.mkdir()
    command = [
        sys.executable, "-m", "daemon.main", "install", "--prefix", str(folder / "prefix"),
        "--gens", str(supply.gens), "--no-python-downloads", "--jobs", "1", "--log-format", "json",
        *supply.options,
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            inside(namespace, command), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            cwd=folder, env=_variables(folder),
        )  # fmt: skip


def _variables(folder: Path) -> Mapping[str, str]:
    kept = {
        name: text for name, text in os.environ.items() if not name.startswith(("UV_", "MONOBASE_", "PIP_"))
    }
    paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    return {
        **kept,
        "HOME": str(folder),
        "PYTHONPATH": paths,
        "UV_HTTP_TIMEOUT": str(_PATIENCE_S),
        "UV_NO_CONFIG": "1",
    }


if __name__ == "__main__":
    main()
