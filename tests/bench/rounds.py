"""`bazel run //tests/bench:rounds`: what a round of the daemon costs with a list of a thousand environments.

The loop of the service runs on a small prefix: on demand with nothing installed, on demand with some of the
environments installed, and with all of them installed and sealed. A round reads definitions, leases, demand
and what a look at marks shows of damage, and announces the readiness; nothing is to be installed. The first
round also scans all files, and is shown by itself. An environment has as many wheels as one with Torch.
"""

import statistics
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from daemon.install.options import InstallOptions
from daemon.service.loop import Loop
from gens.selection import EVERYTHING, Selection
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.fake_service.fake_service import FakeService
from tests.synthetic.catalog import environment_cell

_LIMIT_S = 0.3
_POLL_S = 0.002


@dataclass(frozen=True, slots=True)
class Rounds:
    """The rounds of one service.

    Attributes:
        seconds: How long each took.
        cpu_seconds: Processor time of each, of the whole process.
    """

    seconds: list[float]
    cpu_seconds: list[float]


@click.command()
@click.option("--environments", default=1000, show_default=True, help="Environments in the list.")
@click.option("--some", default=60, show_default=True, help="Installed ones in the second line.")
@click.option("--wheels", default=40, show_default=True, help="Wheels of each environment.")
@click.option("--rounds", default=11, show_default=True, help="Rounds after the first.")
def main(environments: int, some: int, wheels: int, rounds: int) -> None:
    """Measure the rounds of the daemon."""
    console = Console()
    table = Table("installed", "first round, s", "round, s (median)", "longest", "processor, s")
    for installed in (0, some, environments):
        found = measure(environments, installed, wheels, rounds)
        later = found.seconds[1:]
        median = statistics.median(later)
        table.add_row(
            f"{installed:,} of {environments:,}",
            f"{found.seconds[0]:.2f}",
            f"{median:.3f} {'≤' if median <= _LIMIT_S else '>'} {_LIMIT_S:g}",
            f"{max(later):.3f}",
            f"{statistics.median(found.cpu_seconds[1:]):.3f}",
        )
    console.print(table)


def measure(environments: int, installed: int, wheels: int, rounds: int) -> Rounds:
    """Run the loop of a service for some rounds.

    Args:
        environments: Environments of its generation.
        installed: How many of them are installed; if not all, the service installs on demand.
        wheels: Wheels of each environment.
        rounds: Rounds after the first.
    """
    with tempfile.TemporaryDirectory(prefix="monobase-bench-") as folder:
        fake = FakePrefix(Path(folder) / "node")
        made = [fake.wheel(f"package{number}") for number in range(wheels)]
        cells = [environment_cell(made, torch=f"2.{number}.0") for number in range(environments)]
        fake.define(0, *cells)
        if installed:
            fake.publish(0, *(cell.target.name for cell in cells[:installed]))
        if installed == environments:
            fake.seal(0)
            fake.point_latest(0)
        selection = EVERYTHING if installed == environments else Selection(eager=())
        service = FakeService(fake, InstallOptions(jobs=1, selection=selection))
        return _watch(service, rounds + 1)


def _watch(service: FakeService, count: int) -> Rounds:
    """Run the loop in a thread, and watch its rounds."""
    state, stop = service.context.state, service.context.stop
    loop = threading.Thread(target=Loop(service.context).run)
    found = Rounds([], [])
    loop.start()
    try:
        while len(found.seconds) < count and loop.is_alive():
            began_s, began_cpu_s = state.round_began_s, time.process_time()
            if began_s is None:
                time.sleep(_POLL_S / 10)
                continue
            while state.round_began_s == began_s:
                time.sleep(_POLL_S)
            found.seconds.append(time.monotonic() - began_s)
            found.cpu_seconds.append(time.process_time() - began_cpu_s)
    finally:
        stop.set()
        loop.join()
    if service.failed:
        raise click.ClickException("\n".join(service.log))
    return found


if __name__ == "__main__":
    main()
