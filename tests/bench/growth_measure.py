"""Takes all measures of one node."""

import json
import time
from dataclasses import dataclass

from tests.bench.growth_node import GrowthNode, Run

_TIMES = 3
_ROUNDS = 7
_LOCAL = "--no-python-downloads"
_SERVICE = "tests.bench.growth_service"


@dataclass(frozen=True, slots=True)
class Measure:
    """A thing that is measured.

    Attributes:
        key: Its name in JSON; the unit is its end, `_s` or `_bytes`.
        title: What people read.
    """

    key: str
    title: str

    @property
    def unit(self) -> str:
        """Seconds or megabytes."""
        return "s" if self.key.endswith("_s") else "MB"

    def shown(self, value: float) -> str:
        """Return a value with its unit."""
        return f"{value:.3g} s" if self.unit == "s" else f"{value / 1e6:,.3g} MB"


MEASURES = (
    Measure("install_s", "install"),
    Measure("install_peak_bytes", "install: peak memory"),
    Measure("no_op_install_s", "install again, nothing to do"),
    Measure("start_s", "daemon: start"),
    Measure("first_round_s", "daemon: first round, with its scan"),
    Measure("round_s", "daemon: round, nothing to do"),
    Measure("round_cpu_s", "daemon: processor time of a round"),
    Measure("page_s", "daemon: status page"),
    Measure("page_bytes", "daemon: size of the status page"),
    Measure("readyz_s", "daemon: /readyz"),
    Measure("metrics_s", "daemon: /metrics"),
    Measure("metrics_bytes", "daemon: size of /metrics"),
    Measure("daemon_peak_bytes", "daemon: peak memory"),
    Measure("ready_s", "ready"),
    Measure("status_s", "status"),
    Measure("verify_s", "verify"),
    Measure("verify_peak_bytes", "verify: peak memory"),
    Measure("prune_plan_s", "prune --dry-run of all but the newest generation"),
    Measure("prune_s", "prune of all but the newest generation"),
    Measure("disk_bytes", "disk"),
)


def measure(node: GrowthNode) -> dict[str, float]:
    """Install a node, measure all, and prune it.

    Args:
        node: The node, which has its definitions, and nothing else.

    Returns:
        The values by the keys of `MEASURES`.
    """
    install = node.monobase("install", _LOCAL)
    found = {"install_s": install.seconds, "install_peak_bytes": float(install.peak_bytes)}
    found["no_op_install_s"] = node.monobase("install", _LOCAL, times=_TIMES).seconds
    found |= _service(node)
    found["ready_s"] = node.monobase("ready", times=_TIMES).seconds
    found["status_s"] = node.monobase("status", times=_TIMES).seconds
    verify = node.monobase("verify", times=_TIMES)
    found |= {"verify_s": verify.seconds, "verify_peak_bytes": float(verify.peak_bytes)}
    found["disk_bytes"] = float(node.disk_bytes())
    newest = ("--min-gen-id", str(node.size.generations - 1))
    found["prune_plan_s"] = node.monobase("prune", "--dry-run", *newest, times=_TIMES).seconds
    found["prune_s"] = node.monobase("prune", *newest).seconds
    return found


def _service(node: GrowthNode) -> dict[str, float]:
    run = node.run(_SERVICE, str(node.prefix), str(node.gens), str(_ROUNDS), str(time.monotonic()))
    return {**_values(run), "daemon_peak_bytes": float(run.peak_bytes)}


def _values(run: Run) -> dict[str, float]:
    values: dict[str, float] = json.loads(run.output)
    return values
