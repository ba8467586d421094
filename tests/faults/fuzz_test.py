"""Random kills of all commands: nothing half-made has a final name, and the next command ends whole.

By hand: MONOBASE_FUZZ_KILLS says how many, MONOBASE_FUZZ_MINUTES for how long at most, MONOBASE_FUZZ_SEED
which (it is printed), MONOBASE_FUZZ_CYCLE one cycle of it alone, MONOBASE_FUZZ_COMMANDS which commands.
"""

import os
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice

import pytest

from tests.faults.fuzz import COMMANDS, Outcome, World, make_world, run_cycle
from tests.faults.system_calls import strace_program
from tests.index.server import LocalIndex

_SEED = os.environ.get("MONOBASE_FUZZ_SEED") or secrets.token_hex(4)
_KILLS = int(os.environ.get("MONOBASE_FUZZ_KILLS", "60"))
_MINUTES = float(os.environ.get("MONOBASE_FUZZ_MINUTES", "60"))
_COMMANDS = tuple(os.environ.get("MONOBASE_FUZZ_COMMANDS", " ".join(COMMANDS)).split())
_AT_ONCE = len(os.sched_getaffinity(0))
_ENOUGH_VIOLATIONS = 20


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if strace_program() is None:
        pytest.skip("strace is not installed here; the toolbox of ./bazelw has it")
    directory = tmp_path_factory.mktemp("fuzz")
    with LocalIndex(directory / "index") as index:
        yield make_world(index, directory)


def test_random_kills_of_all_commands_are_survived(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    one = os.environ.get("MONOBASE_FUZZ_CYCLE")
    kills: Counter[str] = Counter()
    cycles = 0
    violations: list[str] = []
    with capsys.disabled():
        print(f"\nMONOBASE_FUZZ_SEED={_SEED}", flush=True)
        for number, outcome in _outcomes(world, [int(one)] if one else count(), kills, violations):
            cycles += 1
            kills[outcome.command] += outcome.killed
            if outcome.violations:
                violations.append(_told(number, outcome))
                print(violations[-1], flush=True)
            if one or cycles % 50 == 0:
                print(f"cycle {number}: {kills.total()} kills, {len(violations)} violations", flush=True)
        by_command = ", ".join(f"{name} {kills[name]}" for name in _COMMANDS)
        print(f"{kills.total()} kills in {cycles} cycles: {by_command}; {len(violations)} violations")
    assert not violations, "\n".join(violations)
    assert one or kills.total() >= _KILLS, "the time was over first"


def _outcomes(
    world: World, numbers: "list[int] | count[int]", kills: Counter[str], violations: list[str]
) -> Iterator[tuple[int, Outcome]]:
    end = time.monotonic() + _MINUTES * 60
    left = iter(numbers)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while kills.total() < _KILLS and time.monotonic() < end and len(violations) < _ENOUGH_VIOLATIONS:
            some = list(islice(left, _AT_ONCE * 3))
            if not some:
                return
            yield from zip(
                some, pool.map(lambda number: run_cycle(world, _SEED, number, _COMMANDS), some), strict=True
            )


def _told(number: int, outcome: Outcome) -> str:
    story = "\n    ".join(outcome.story)
    found = "\n    ".join(outcome.violations[:12])
    again = f"MONOBASE_FUZZ_SEED={_SEED} MONOBASE_FUZZ_CYCLE={number}"
    return f"{again}: {outcome.command}\n    {story}\n  but\n    {found}"
