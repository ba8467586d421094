"""A real daemon that installs on demand within a disk budget, and models that ask it through the runtime."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from daemon.prefix.generation import published_names
from runtime.shells import EXEC, SYSTEM_PATH
from tests.node.node import PLAIN, Node
from tests.node.running_daemon import Daemon
from tests.synthetic.catalog import PYTHON, environment_cell

pytest_plugins = ["tests.service.fixture"]

_OWN_BYTES = 4_000_000
_RELEASES = ("2.1.0", "2.2.0", "2.3.0")
_WAITS = "import own, sys; print(own.NAME, flush=True); sys.stdin.read(); import own.__init__"
_PATIENCE_S = "300"


def _name(release: str) -> str:
    return f"{PLAIN}-torch{release}-cpu"


def _define(node: Node) -> None:
    shared = node.wheel("shared")
    node.define(
        *(
            environment_cell([shared, node.wheel("own", release, size_bytes=_OWN_BYTES)], torch=release)
            for release in _RELEASES
        )
    )


@contextmanager
def _model(node: Node, release: str) -> Iterator["subprocess.Popen[str]"]:
    """Start a model that waits for its environment, leases it, and runs until its input is closed."""
    process = subprocess.Popen(
        [str(EXEC), "python", "-c", _WAITS],
        env={
            "PATH": SYSTEM_PATH, "HOME": str(node.directory), "MONOBASE_PREFIX": str(node.root),
            "PYTHON_VERSION": PYTHON, "TORCH_VERSION": release, "MONOBASE_WAIT_S": _PATIENCE_S,
            "MONOBASE_LEASE": "1",
        },
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _began(model: "subprocess.Popen[str]") -> str:
    assert model.stdout is not None
    return model.stdout.readline()


def _is_recorded(node: Node, name: str) -> bool:
    return name in (node.prefix.generations / ".leases.json").read_text()


def _is_leased(daemon: Daemon, release: str) -> bool:
    labels = f'environment="{_name(release)}",generation="g00000"'
    return f"monobase_environment_leased{{{labels}}} 1.0\n" in daemon.get("/metrics")[1]


def _size_of(node: Node, count: int) -> int:
    """Return the size of a prefix with some environments, and room for half another one."""
    other = node.with_prefix(node.directory / "measured")
    other.install(*(word for release in _RELEASES[:count] for word in ("--only", _name(release))))
    return other.disk_bytes() + _OWN_BYTES


def test_an_install_waits_for_the_end_of_a_lease_and_the_others_stay(node: Node) -> None:
    _define(node)
    limit = _size_of(node, 2)
    first, second, third = _RELEASES
    with node.daemon("--on-demand", f"--disk-budget={limit}") as daemon:
        daemon.wait_ready()
        with _model(node, first) as one, _model(node, second) as two:
            assert (_began(one), _began(two)) == (f"own {first}\n", f"own {second}\n")
            daemon.wait_until(lambda: _is_leased(daemon, first) and _is_leased(daemon, second))
            with _model(node, third) as waiting:
                daemon.wait_until(lambda: daemon.said("evicting all that may go would free"))
                assert f"install g00000/{_name(third)}" in daemon.get("/readyz?format=text")[1]
                assert "a model has leased it: process" in daemon.get("/")[1]
                assert daemon.metric('monobase_failures_total{kind="budget"}') >= 1
                assert published_names(node.prefix, "g00000") == {_name(first), _name(second)}
                one.communicate()
                assert _began(waiting) == f"own {third}\n"
                assert published_names(node.prefix, "g00000") == {_name(second), _name(third)}
                assert daemon.said(f"evicted g00000/{_name(first)}")
                waiting.communicate()
                assert waiting.returncode == 0
            two.communicate()
            assert two.returncode == 0
        daemon.wait_until(lambda: daemon.metric("monobase_disk_budget_used_bytes") == node.disk_bytes())
        assert daemon.metric("monobase_disk_budget_bytes") == limit
        assert daemon.metric("monobase_evictions_total") == 1
        assert daemon.metric("monobase_evicted_bytes_total") > _OWN_BYTES
        assert daemon.ready()
        assert node.disk_bytes() <= limit
    node.verify()


def test_a_daemon_with_a_smaller_budget_evicts_what_passes_it_and_remembers_who_was_leased_last(
    node: Node,
) -> None:
    _define(node)
    first, second, third = _RELEASES
    with node.daemon("--on-demand", "--disk-budget=1G") as daemon:
        daemon.wait_ready()
        for release in (second, third, first):
            with _model(node, release) as model:
                assert _began(model) == f"own {release}\n"
                name = _name(release)
                daemon.wait_until(partial(_is_recorded, node, name))
                model.communicate()
    limit = node.disk_bytes() - _OWN_BYTES // 2
    with node.daemon("--on-demand", f"--disk-budget={limit}", "--eager", _name(second)) as daemon:
        daemon.wait_until(lambda: node.disk_bytes() <= limit)
        daemon.wait_ready()
    assert published_names(node.prefix, "g00000") == {_name(second), _name(first)}
    node.verify()
