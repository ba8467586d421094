"""Two hundred cycles of range changes, prunes and restarts: nothing grows.

`MONOBASE_SOAK_CYCLES` gives another number.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.node.node import SITE, Node
from tests.synthetic.catalog import cells

pytest_plugins = ["tests.service.fixture"]

_CYCLES = int(os.environ.get("MONOBASE_SOAK_CYCLES", "200"))
_GENERATIONS = 5
# Of Python itself: arenas and caches that fill up in the first rounds.
_GROWTH_BYTES = 12_000_000


def _names(root: Path) -> int:
    return sum(1 for _ in root.rglob("*"))


def _resident_bytes(process: int) -> int:
    fields = Path(f"/proc/{process}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def test_ranges_prunes_and_restarts_leave_nothing_behind(
    node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = node.wheel("shared", size_bytes=50_000)
    node.define_all(
        {
            number: cells(shared, node.wheel("own", f"{number}.0", size_bytes=20_000), torch=("2.4.1",))
            for number in range(_GENERATIONS)
        }
    )
    seen: dict[int, list[tuple[int, int]]] = {}
    for cycle in range(_CYCLES):
        low = cycle % (_GENERATIONS - 1)
        arguments = (f"--min-gen-id={low}", f"--max-gen-id={low + 1}", "--prune-old-gen")
        with node.daemon(*arguments) as daemon:
            daemon.wait_ready()
            wanted = {f"g{low:05d}", f"g{low + 1:05d}"}
            # Generations newer than the range stay: pruning removes only older ones.
            daemon.wait_until(lambda wanted=wanted, low=low: {
                name for name in node.prefix.installed_generations() if int(name[1:]) <= low + 1
            } == wanted)  # type: ignore[misc]  # fmt: skip
            daemon.end()
        daemon.log.unlink()
        if low == _GENERATIONS - 2:
            seen.setdefault(low, []).append((_names(node.prefix.root), node.disk_bytes()))
            node.run("verify")
    with capsys.disabled():
        for low, counts in seen.items():
            told = ", ".join(
                f"{number} x {names} names, {size} bytes" for (names, size), number in Counter(counts).items()
            )
            print(f"\n{_CYCLES} cycles; after those of g{low:05d} and newer: {told}")
    for counts in seen.values():
        assert len(counts) < 2 or max(Counter(counts[1:]).values()) == len(counts) - 1, counts


def test_one_daemon_that_goes_on_for_long_does_not_grow(
    node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    node.define_all({0: cells(node.wheel("alpha", size_bytes=50_000), torch=("2.4.1",))})
    file = node.environment() / SITE / "alpha" / "__init__.py"
    sizes = []
    with node.daemon() as daemon:
        daemon.wait_ready()
        for cycle in range(max(10, _CYCLES // 4)):
            file.unlink()
            daemon.wait_until(lambda cycle=cycle: daemon.metric("monobase_repairs_total") > cycle)  # type: ignore[misc]
            daemon.wait_ready()
            sizes.append((daemon.metric("process_open_fds"), _resident_bytes(daemon.process.pid)))
        names = _names(node.prefix.root)
    with capsys.disabled():
        print(f"\n{len(sizes)} repairs; descriptors, resident bytes at some: {sizes[:: len(sizes) // 5]}")
    early, late = sizes[len(sizes) // 3], sizes[-1]
    assert late[0] <= early[0] + 3
    assert late[1] <= early[1] + _GROWTH_BYTES
    assert names == _names(node.prefix.root)
    node.run("verify")
