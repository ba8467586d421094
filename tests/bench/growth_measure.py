"""Takes all measures of one node."""

import json
import time
from collections.abc import Mapping
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
        key: Its name in JSON; the unit is its end, `_cpu_s` or `_bytes`. Of what has processor time there is
            the wall-clock time as well, at `wall_key`.
        title: What people read.
    """

    key: str
    title: str

    @property
    def unit(self) -> str:
        """Seconds or megabytes."""
        return "s" if self.key.endswith("_s") else "MB"

    @property
    def wall_key(self) -> str:
        """The key of its wall-clock time."""
        return self.key.replace("_cpu_s", "_s")

    def shown(self, values: Mapping[str, float]) -> str:
        """Return the value, with the wall-clock time in brackets."""
        value = values[self.key]
        if self.unit == "MB":
            return f"{value / 1e6:.3g}"
        return f"{value:.2g} ({values[self.wall_key]:.2g})"


MEASURES = (
    Measure("install_cpu_s", "install"),
    Measure("install_peak_bytes", "install: peak memory"),
    Measure("no_op_install_cpu_s", "install, nothing to do"),
    Measure("start_cpu_s", "daemon: start"),
    Measure("first_round_cpu_s", "daemon: first round, with scan"),
    Measure("round_cpu_s", "daemon: round, nothing to do"),
    Measure("page_cpu_s", "daemon: status page"),
    Measure("page_bytes", "daemon: size of the page"),
    Measure("readyz_cpu_s", "daemon: /readyz"),
    Measure("metrics_cpu_s", "daemon: /metrics"),
    Measure("metrics_bytes", "daemon: size of /metrics"),
    Measure("daemon_peak_bytes", "daemon: peak memory"),
    Measure("ready_cpu_s", "ready"),
    Measure("status_cpu_s", "status"),
    Measure("verify_cpu_s", "verify"),
    Measure("verify_peak_bytes", "verify: peak memory"),
    Measure("evict_plan_cpu_s", "evict --dry-run, half of all"),
    Measure("unselected_plan_cpu_s", "prune --dry-run, half of all"),
    Measure("prune_cpu_s", "prune of old generations"),
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
    found = {"install_peak_bytes": float(install.peak_bytes)} | _times("install", install)
    found |= _times("no_op_install", node.monobase("install", _LOCAL, times=_TIMES))
    found |= _service(node)
    found["disk_bytes"] = float(node.disk_bytes())
    found |= _times("ready", node.monobase("ready", times=_TIMES))
    found |= _times("status", node.monobase("status", times=_TIMES))
    verify = node.monobase("verify", times=_TIMES)
    found |= {"verify_peak_bytes": float(verify.peak_bytes)} | _times("verify", verify)
    found |= _times("evict_plan", node.monobase("evict", "--dry-run", "--disk-budget", node.half_budget()))
    half = ("--dry-run", "--prune-unselected", "--min-gen-id", "0", "--only", "*[02468].0-*")
    found |= _times("unselected_plan", node.monobase("prune", *half))
    return found | _times("prune", node.monobase("prune", "--min-gen-id", str(node.size.generations - 1)))


def _service(node: GrowthNode) -> dict[str, float]:
    run = node.run(_SERVICE, str(node.prefix), str(node.gens), str(_ROUNDS), str(time.monotonic()))
    values: dict[str, float] = json.loads(run.output)
    return {**values, "daemon_peak_bytes": float(run.peak_bytes)}


def _times(name: str, run: Run) -> dict[str, float]:
    return {f"{name}_s": run.seconds, f"{name}_cpu_s": run.cpu_seconds}
