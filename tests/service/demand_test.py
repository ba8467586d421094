"""Tests on-demand installs: models ask for environments of a real daemon through the runtime's exec."""

import fcntl
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from runtime.shells import EXEC, SYSTEM_PATH
from tests.index.fault import drip
from tests.node.node import PATIENT, PLAIN, Node
from tests.synthetic.catalog import PYTHON, cells, environment_cell

pytest_plugins = ["tests.service.fixture"]

_WAIT_S = 90
_PRINT = ("python", "-c", "import alpha, sys; print(alpha.NAME, sys.prefix)")


def _torch(release: str) -> str:
    return f"{PLAIN}-torch{release}-cpu"


@contextmanager
def _model(
    node: Node, *command: str, torch: str = "", wait_s: int = _WAIT_S, **variables: str
) -> Iterator["subprocess.Popen[str]"]:
    """Start a model that waits for an environment; it is killed at the end if it still runs."""
    asked = {"TORCH_VERSION": torch} if torch else {}
    process = subprocess.Popen(
        [str(EXEC), *(command or _PRINT)],
        env={
            "PATH": SYSTEM_PATH, "HOME": str(node.directory), "MONOBASE_PREFIX": str(node.root),
            "PYTHON_VERSION": PYTHON, "MONOBASE_WAIT_S": str(wait_s), **asked, **variables,
        },
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    with process:  # which closes its pipes
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    stdout, stderr = process.communicate(timeout=_WAIT_S + 30)
    return process.returncode, stdout, stderr


def _files(node: Node, generation: str = "g00000") -> set[str]:
    """Return the names of what a model can ask for."""
    try:
        return {path.name for path in (node.prefix.generations / ".demand" / generation).iterdir()}
    except FileNotFoundError:
        return set()


def test_a_node_on_demand_is_ready_with_nothing_and_installs_what_a_model_asks_for(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha"), torch=("2.4.1", "2.5.1"))})
    with node.daemon("--on-demand") as daemon:
        daemon.wait_ready()
        assert not node.index.log.requests()
        with _model(node, torch="2.5.1") as model:
            code, stdout, stderr = _ended(model)
        assert (code, stdout) == (0, f"alpha 1.0 {node.environment(_torch('2.5.1'))}\n"), stderr
        assert "which is not installed yet" in stderr
        daemon.wait_until(lambda: _files(node) == {PLAIN, _torch("2.4.1")})
        assert daemon.ready()
        assert daemon.metric('monobase_environments{generation="g00000",state="on demand"}') == 2
        node.run("ready", "--on-demand")
        node.run("ready", variables={"MONOBASE_ON_DEMAND": "1"})
        node.run("ready", code=1)
    assert not node.environment().exists()
    assert not node.is_sealed()
    node.run("verify")


def test_what_is_eager_comes_without_asking_and_decides_readiness(node: Node) -> None:
    alpha, beta = node.wheel("alpha"), node.wheel("beta")
    node.define_all({0: [environment_cell([beta]), environment_cell([alpha], torch="2.4.1")]})
    node.index.repository.lose(beta.filename)
    eager = ("--on-demand", "--eager", PLAIN)
    with node.daemon(*eager) as daemon:
        daemon.wait_until(lambda: daemon.said("trying again"))
        assert daemon.get("/readyz")[0] == 503
        with _model(node, torch="2.4.1") as model:
            assert _ended(model)[0] == 0
        assert daemon.get("/readyz")[0] == 503
        node.index.add(beta.spec)
        daemon.wait_ready()
        assert node.prefix.latest.readlink() == Path("g00000")
    node.run("ready", *eager)
    node.run("ready", variables={"MONOBASE_ON_DEMAND": "1", "MONOBASE_EAGER": f"{PLAIN} {PLAIN[:-1]}?"})


def test_what_is_not_selected_cannot_be_asked_for(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha"), torch=("2.4.1", "2.5.1"))})
    with node.daemon("--on-demand", "--only", "*-torch2.4.1-*") as daemon:
        daemon.wait_until(lambda: _files(node) == {_torch("2.4.1")})
        with _model(node, torch="2.5.1", wait_s=600) as model:
            code, _, said = _ended(model)
        assert code == 69
        assert "left out on this node by its selection: --only *-torch2.4.1-*" in said
        planted = node.prefix.generations / ".demand" / "g00000" / _torch("2.5.1")
        planted.touch()
        with planted.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            daemon.wait_until(lambda: not planted.exists())
        assert daemon.ready()
    assert not node.environment(_torch("2.5.1")).exists()
    assert not node.index.log.requests()


def test_ten_models_ask_for_ten_environments_at_once(node: Node) -> None:
    releases = [f"2.{minor}.0" for minor in range(10)]
    alpha = node.wheel("alpha")
    rows = [
        environment_cell([alpha, node.wheel("own", f"{minor}.0")], torch=f"2.{minor}.0")
        for minor in range(10)
    ]
    node.define_all({0: [environment_cell([alpha]), *rows]})
    with node.daemon("--on-demand") as daemon, ExitStack() as stack:
        daemon.wait_ready()
        models = [stack.enter_context(_model(node, torch=release)) for release in releases]
        for release, model in zip(releases, models, strict=True):
            code, stdout, stderr = _ended(model)
            assert (code, stdout) == (0, f"alpha 1.0 {node.environment(_torch(release))}\n"), stderr
        assert node.index.log.wheel_downloads()[alpha.filename] == 1
    assert not node.environment().exists()
    node.run("verify")


def test_a_model_that_asks_and_is_killed_leaves_nothing_behind(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha"), torch=("2.4.1", "2.5.1"))})
    with node.daemon("--on-demand") as daemon:
        daemon.wait_ready()
        with (
            node.index.gate("*.whl") as gate,
            _model(node, torch="2.4.1") as first,
            _model(node, torch="2.5.1") as second,
        ):
            daemon.wait_until(lambda: daemon.said("a model waits for it") and gate.is_reached())
            for model in (first, second):
                os.killpg(model.pid, signal.SIGKILL)
                model.wait()  # its locks end with it
        # What had begun is finished, and what had not is not begun.
        daemon.wait_until(lambda: len(_files(node)) == 2)
        with _model(node) as model:
            assert _ended(model)[0] == 0
        assert daemon.ready()
    assert sum(node.environment(_torch(release)).exists() for release in ("2.4.1", "2.5.1")) == 1
    node.run("verify")


def test_a_model_goes_on_waiting_while_the_daemon_is_killed_and_started_again(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha"))})
    with ExitStack() as stack:
        with node.index.gate("*.whl") as gate, node.daemon("--on-demand") as daemon:
            daemon.wait_ready()
            model = stack.enter_context(_model(node))
            daemon.wait_until(gate.is_reached)
            daemon.end(signal.SIGKILL)
        with node.daemon("--on-demand") as daemon:
            code, stdout, stderr = _ended(model)
            assert (code, stdout) == (0, f"alpha 1.0 {node.environment()}\n"), stderr
    node.run("verify")


def test_a_request_that_fails_is_tried_again_and_stops_nobody(node: Node) -> None:
    alpha, beta = node.wheel("alpha"), node.wheel("beta")
    node.define_all({0: [environment_cell([alpha]), environment_cell([alpha, beta], torch="2.4.1")]})
    node.index.repository.lose(beta.filename)
    with node.daemon("--on-demand") as daemon:
        daemon.wait_ready()
        with _model(node, torch="2.4.1") as failing:
            daemon.wait_until(lambda: daemon.metric('monobase_failures_total{kind="index"}') >= 2)
            with _model(node) as other:
                assert _ended(other)[0] == 0
            assert daemon.ready()
            node.index.add(beta.spec)
            assert _ended(failing)[0] == 0
    node.run("verify")


@pytest.mark.parametrize("operation", [fcntl.LOCK_SH, fcntl.LOCK_EX])
def test_no_lock_on_a_file_of_demand_does_more_than_ask(node: Node, operation: int) -> None:
    node.define_all({0: cells(node.wheel("alpha"), torch=("2.4.1",))})
    with node.daemon("--on-demand") as daemon, ExitStack() as stack:
        daemon.wait_until(lambda: len(_files(node)) == 2)
        for name in _files(node):
            file = stack.enter_context((node.prefix.generations / ".demand" / "g00000" / name).open())
            fcntl.flock(file, operation)
        with _model(node) as model:
            assert _ended(model)[0] == 0
        daemon.wait_until(lambda: node.is_sealed() and daemon.ready())
        before = daemon.metric("monobase_last_check_timestamp_seconds")
        daemon.wait_until(lambda: daemon.metric("monobase_last_check_timestamp_seconds") > before)
    node.run("verify")


@pytest.fixture
def no_sigio() -> Iterator[None]:
    """Ignore the signal with which the kernel asks a process to give up its lease."""
    former = signal.signal(signal.SIGIO, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGIO, former)


@pytest.mark.usefixtures("no_sigio")
def test_a_lease_on_a_file_of_demand_holds_up_nobody(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha"), torch=("2.4.1",))})
    with node.daemon("--on-demand") as daemon:
        daemon.wait_until(lambda: len(_files(node)) == 2)
        with (node.prefix.generations / ".demand" / "g00000" / _torch("2.4.1")).open() as file:
            daemon.wait_until(lambda: _set_lease(file.fileno()))
            before = daemon.metric("monobase_last_check_timestamp_seconds")
            with _model(node) as model:
                assert _ended(model)[0] == 0
            daemon.wait_until(lambda: daemon.metric("monobase_last_check_timestamp_seconds") > before)
            assert daemon.get("/healthz")[0] == 200
    assert not node.environment(_torch("2.4.1")).exists()


def _set_lease(descriptor: int) -> bool:
    """Set a write lease; return whether it was given, as the daemon has the file open for moments."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except BlockingIOError:
        return False
    return True


def test_without_on_demand_what_a_model_waits_for_comes_first(node: Node) -> None:
    rows = [environment_cell([node.wheel("alpha", f"{minor}.0")], torch=f"2.{minor}.0") for minor in range(6)]
    node.define_all({0: [environment_cell([node.wheel("beta")])], 1: rows})
    with node.index.gate("*/alpha-*.whl") as gate, node.daemon(variables=PATIENT) as daemon:
        daemon.wait_until(gate.is_reached)
        assert "beta" not in _downloaded(node)
        with _model(node, "python", "-c", "import beta", MONOBASE_GEN_ID="0") as model:
            daemon.wait_until(lambda: _is_asked_for(node))
            gate.open()
            assert _ended(model)[0] == 0
        daemon.wait_ready()
        assert daemon.said("g00000/python")
    downloaded = list(node.index.log.wheel_attempts())
    assert len(downloaded) == len(rows) + 1
    assert not downloaded[-1].startswith("beta-")
    assert node.is_sealed("g00000")
    assert node.is_sealed("g00001")


def _is_asked_for(node: Node) -> bool:
    """Return whether a process has the shared lock of the first environment; it takes none to find out."""
    file = (node.prefix.generations / ".demand" / "g00000" / PLAIN).stat()
    locks = Path("/proc/locks").read_text().splitlines()
    return any(f":{file.st_ino} " in lock and " READ " in lock for lock in locks)


def _downloaded(node: Node) -> set[str]:
    return {name.partition("-")[0] for name in node.index.log.wheel_attempts()}


def test_the_wait_shows_the_bytes_as_they_come(node: Node) -> None:
    wheel = node.wheel("alpha", size_bytes=3_000_000)
    node.define_all({0: cells(wheel)})
    with node.index.fault(drip("*.whl", bytes_per_s=150_000)), node.daemon("--on-demand") as daemon:
        daemon.wait_ready()
        with _model(node) as model:
            daemon.wait_until(lambda: daemon.metric("monobase_requested") == 1)
            code, _, stderr = _ended(model)
        assert code == 0, stderr
        daemon.wait_until(lambda: daemon.metric("monobase_requested") == 0)
    shown = re.findall(rf"{PLAIN}: downloading ([0-9]+) of 3 MB \(([0-9]+) %\)", stderr)
    assert shown, stderr
    percents = [int(percent) for _, percent in shown]
    assert percents == sorted(percents)
    assert any(0 < percent < 100 for percent in percents)
    assert not (node.prefix.generations / ".progress").exists()
