"""200 requests for 30 environments on a prefix with a budget for 10, as on a node that installs on demand.

The daemon's own code plans, evicts and installs; a fake uv links. Models hold leases while they run. The hit
rate is printed beside that of the optimum (Belady), which knows all requests to come.
"""

import fcntl
import io
import itertools
import os
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon.install import pipeline
from daemon.install.options import InstallOptions
from daemon.install.pipeline import install
from daemon.install.plan import make_plan
from daemon.prefix.disk_budget import Amount, DiskBudget
from daemon.prefix.generation import published_names
from daemon.prefix.lease_record import last_leases, read_lease_record, read_leases, write_lease_record
from daemon.prefix.usage import disk_bytes
from daemon.report.progress import Reporter
from daemon.upkeep import eviction
from daemon.upkeep.eviction import eviction_rules, make_room
from daemon.upkeep.eviction_plan import ON_DEMAND
from daemon.upkeep.verify import verify
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.fake_uv.fake_uv import FakeUv
from tests.synthetic.catalog import PYTHON, environment_cell

_ENVIRONMENTS, _FIT, _REQUESTS, _MODELS = 30, 10, 200, 4
_OWN_BYTES = 120_000
_COMPRESSED = 0.57  # as the wheels of a Torch environment, of their size when unpacked
_SEED = 14
_BEGIN_S = 2_000_000_000  # after all installations, whose time is that of the machine


@dataclass
class _Node:
    """A prefix, the models that run on it, and what was seen.

    Attributes:
        fake: The prefix.
        uv: The uv that fills it.
        budget: Its budget.
        now_s: The time, which advances with each request.
        models: The descriptors of the leases, by environment, oldest first.
        hits: How many requests found their environment.
        evicted: How many environments went.
        most_bytes: The most bytes that the prefix took, after a request or while one was installed.
        prediction_errors: By which share of the freed bytes each plan was wrong.
    """

    fake: FakePrefix
    uv: FakeUv
    budget: DiskBudget
    now_s: int = _BEGIN_S
    models: deque[tuple[str, int]] = field(default_factory=deque)
    hits: int = 0
    evicted: int = 0
    most_bytes: int = 0
    prediction_errors: list[float] = field(default_factory=list)

    def request(self, name: str) -> None:
        """Start a model: install its environment if it is missing, and lease it."""
        self.now_s += 60
        if name in published_names(self.fake.prefix, "g00000"):
            self.hits += 1
        else:
            self._install(name)
        folder = self.fake.tree(0, name)
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        self.models.append((name, descriptor))
        self._look()
        if len(self.models) > _MODELS:
            os.close(self.models.popleft()[1])

    def _install(self, name: str) -> None:
        prefix, catalog = self.fake.prefix, self.fake.catalog
        plan = make_plan(prefix, catalog, selection=ON_DEMAND, due=[name])
        rules = eviction_rules(prefix, catalog, catalog.between(None, None), plan.wanted, ON_DEMAND)
        reporter = Reporter(io.StringIO(), "json")
        before = disk_bytes(prefix.root)
        room = make_room(prefix, self.budget, rules, plan.disk_bytes, reporter)
        if room.evicted:
            self.evicted += len(room.evicted)
            freed = before - disk_bytes(prefix.root)
            self.prediction_errors.append(abs(room.plan.freed_bytes - freed) / freed)
        assert published_names(prefix, "g00000") >= {model for model, _ in self.models}
        options = InstallOptions(downloads=False, jobs=1, selection=ON_DEMAND, due=(name,))
        result = install(prefix, catalog, self.uv.program, options, reporter)
        assert result.installed == [f"g00000/{name}"]

    def measure(self) -> None:
        """Measure the prefix."""
        self.most_bytes = max(self.most_bytes, disk_bytes(self.fake.prefix.root))

    def _look(self) -> None:
        """Record the leases, as each round of the daemon does."""
        prefix = self.fake.prefix
        found = read_leases(prefix)
        write_lease_record(prefix, last_leases(found, read_lease_record(prefix), self.now_s))


def _content(chance: random.Random) -> bytes:
    """Return the content of a file, which shrinks in a wheel as real ones do."""
    return chance.randbytes(int(_OWN_BYTES * _COMPRESSED)).ljust(_OWN_BYTES, b"\0")


def _requests(names: Sequence[str]) -> list[str]:
    """Return requests as of a fleet: a few environments are asked for often, and which these are changes."""
    chance = random.Random(_SEED)  # noqa: S311 (a simulation)
    ranked = list(names)
    requests = []
    for number in range(_REQUESTS):
        if number % 50 == 49:
            chance.shuffle(ranked)
        weights = [1 / (rank + 1) for rank in range(len(ranked))]
        requests += chance.choices(ranked, weights)
    return requests


def _hits_of_the_optimum(requests: Sequence[str], fit: int) -> int:
    """Return the hits if what is needed latest goes first (Belady)."""
    held: set[str] = set()
    hits = 0
    for number, name in enumerate(requests):
        if name in held:
            hits += 1
            continue
        if len(held) == fit:
            rest = requests[number + 1 :]
            held.remove(max(held, key=lambda other: rest.index(other) if other in rest else len(rest)))
        held.add(name)
    return hits


def test_the_optimum_keeps_what_is_needed_next() -> None:
    assert _hits_of_the_optimum(["a", "b", "c", "a", "b", "c", "a"], 2) == 2
    assert _hits_of_the_optimum(["a", "b", "c", "a", "b", "c", "a"], 3) == 4


def test_200_requests_for_30_environments_stay_within_a_budget_for_10(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = FakePrefix(tmp_path)
    uv = FakeUv(fake)
    assert fake.interpreter.is_dir()
    chance = random.Random(_SEED)  # noqa: S311 (content of files)
    uv.serve(shared := fake.wheel("shared", cached=False, files={"shared/data": _content(chance)}))
    cells = []
    for number in range(_ENVIRONMENTS):
        files = {"own/data": _content(chance), "own/__init__.py": b"NUMBER = %d\n" % number}
        uv.serve(own := fake.wheel("own", f"{number}.0", cached=False, files=files))
        cells.append(environment_cell([shared, own], torch=f"2.{number}.0"))
    fake.define(0, *cells)
    monkeypatch.setattr(pipeline, "make_uv", lambda *_: uv)
    node = _Node(fake, uv, DiskBudget())
    monkeypatch.setattr(eviction, "time", SimpleNamespace(time=lambda: node.now_s))
    names = [f"python{PYTHON}-torch2.{number}.0-cpu" for number in range(_ENVIRONMENTS)]

    sizes = [disk_bytes(fake.prefix.root)]
    for name in names[:_FIT]:
        options = InstallOptions(downloads=False, jobs=1, selection=ON_DEMAND, due=(name,))
        install(fake.prefix, fake.catalog, uv.program, options, Reporter(io.StringIO()))
        sizes.append(disk_bytes(fake.prefix.root))
    one_bytes = max(after - before for before, after in itertools.pairwise(sizes[1:]))
    limit = sizes[-1]
    node.budget = DiskBudget(Amount(f"{limit}", limit))

    uv.after["install"] = lambda _: node.measure()  # an environment is staged, and not published yet
    requests = _requests(names)
    for name in requests:
        node.request(name)
        node.measure()
        assert node.most_bytes <= limit + one_bytes
        assert published_names(fake.prefix, "g00000") >= {model for model, _ in node.models}

    assert verify(fake.prefix, ["g00000"], 1, stores=True).findings == []
    assert max(node.prediction_errors) <= 0.01
    optimum = _hits_of_the_optimum(requests, _FIT)
    assert node.hits <= optimum
    with capsys.disabled():
        print(
            f"\n{_REQUESTS} requests, {_ENVIRONMENTS} environments, {_FIT} fit: {node.hits} hits "
            f"({node.hits / _REQUESTS:.0%}), the optimum has {optimum} ({optimum / _REQUESTS:.0%}); "
            f"{node.evicted} evictions, at most {node.most_bytes:,} of {limit:,} bytes "
            f"(one environment: {one_bytes:,}), prediction off by at most "
            f"{max(node.prediction_errors):.3%}"
        )
