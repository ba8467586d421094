"""The program that measures the service on a sealed prefix: its start, its rounds, its answers, its memory.

It prints a JSON object. The service is that of `run`, in this process, so that its rounds can be watched.
"""

import json
import statistics
import sys
import threading
import time
from pathlib import Path

from daemon.cli.node_catalog import NodeCatalog
from daemon.install.options import InstallOptions
from daemon.prefix.prefix import prefix_at
from daemon.report.progress import Reporter
from daemon.service.answers import Question, respond
from daemon.service.context import ServiceContext
from daemon.service.loop import Loop
from daemon.service.options import ServiceOptions

_PAUSE_S = 0.05
_POLL_S = 0.001
_SETTLED_AFTER_S = 2.5  # the first readings of files are not trusted for two seconds
_PATIENCE_S = 3600.0


def main() -> None:
    """Measure; the arguments: prefix, definitions, count of rounds, time of the start."""
    prefix, gens = Path(sys.argv[1]), Path(sys.argv[2])
    count, began_s = int(sys.argv[3]), float(sys.argv[4])
    context = ServiceContext(
        prefix_at(prefix),
        NodeCatalog(gens).load,
        Path("uv"),
        ServiceOptions(InstallOptions(jobs=2), check_interval_s=_PAUSE_S),
        Reporter(sys.stderr, "json"),
    )
    found = {"start_s": time.monotonic() - began_s, "start_cpu_s": time.process_time()}
    loop = threading.Thread(target=Loop(context).run)
    loop.start()
    try:
        found |= _watch(context, loop, count)
    finally:
        context.stop.set()
        loop.join()
    found |= _ask(context, count)
    if context.retries.pending() or not context.readiness().ready:
        sys.exit(f"the node is not ready: {context.readiness().reasons} {context.retries.pending()}")
    print(json.dumps(found))


def _watch(context: ServiceContext, loop: threading.Thread, count: int) -> dict[str, float]:
    """Watch rounds, with their processor time: the first one, and those after memories have settled."""
    rounds: list[tuple[float, float]] = []
    first: tuple[float, float] | None = None
    settled_s = ended_s = time.monotonic() + _PATIENCE_S
    while len(rounds) < count and loop.is_alive() and time.monotonic() < ended_s:
        began_s, began_cpu_s = context.state.round_began_s, time.process_time()
        if began_s is None:
            time.sleep(_POLL_S)
            continue
        while context.state.round_began_s == began_s and loop.is_alive():
            time.sleep(_POLL_S)
        now_s = time.monotonic()
        took = now_s - began_s, time.process_time() - began_cpu_s
        if first is None:
            first = took
            settled_s = now_s + _SETTLED_AFTER_S
        elif began_s > settled_s:
            rounds.append(took)
    if first is None or len(rounds) < count:
        sys.exit("the service has ended")
    return {
        "first_round_s": first[0],
        "first_round_cpu_s": first[1],
        "round_s": statistics.median(seconds for seconds, _ in rounds),
        "round_cpu_s": statistics.median(seconds for _, seconds in rounds),
    }


def _ask(context: ServiceContext, count: int) -> dict[str, float]:
    """Ask for each page, as people, probes and Prometheus do."""
    found: dict[str, float] = {}
    for name, path in (("page", "/"), ("readyz", "/readyz"), ("metrics", "/metrics")):
        seconds, cpu_seconds = [], []
        for _ in range(count):
            began_s, began_cpu_s = time.monotonic(), time.process_time()
            body = respond(context, Question(path)).body
            seconds.append(time.monotonic() - began_s)
            cpu_seconds.append(time.process_time() - began_cpu_s)
        found[f"{name}_s"] = statistics.median(seconds)
        found[f"{name}_cpu_s"] = statistics.median(cpu_seconds)
        found[f"{name}_bytes"] = len(body)
    return found


if __name__ == "__main__":
    main()
