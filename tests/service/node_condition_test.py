"""Tests the plugin of Node Problem Detector beside a real daemon: the status of MonobaseReady in each state.

`daemon/kubernetes/monobase_ready_test.py` runs it with answers that no daemon gives.
"""

import json
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.node.node import PATIENT, PLAIN, Node
from tests.node.running_daemon import Daemon
from tests.synthetic.catalog import cells, environment_cell

pytest_plugins = ["tests.service.fixture"]

_COMPONENT = Path(__file__).parents[2] / "daemon/kubernetes/components/node-problem-detector"
_BAD = f"{PLAIN}-torch2.4.1-cpu"


@dataclass(frozen=True, slots=True)
class Detector:
    """Stands in for Node Problem Detector, with one of the two sources of the plugin.

    Attributes:
        argument: URL of the daemon's `/readyz`, or path of its features file.
    """

    argument: str

    def check(self) -> tuple[str, str]:
        """Run the plugin as the detector does; return the condition's status and the message."""
        monitor = json.loads((_COMPONENT / "monobase-monitor.json").read_text())
        (rule,) = monitor["rules"]
        arguments = [str(_COMPONENT / Path(rule["args"][0]).name), self.argument]
        # The plugin's own timeout is below the detector's, which a busy test machine may exceed.
        done = subprocess.run(
            [rule["path"], *arguments], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.stderr == ""
        assert len(done.stdout.strip()) <= monitor["pluginConfig"]["max_output_length"]
        status = {0: "False", 1: "True"}.get(done.returncode, "Unknown")
        return status, done.stdout.removesuffix("\n")

    def status(self) -> str:
        """Return the condition's status."""
        return self.check()[0]


def _asking(daemon: Daemon) -> Detector:
    daemon.get("/healthz")  # which learns the port
    return Detector(f"http://127.0.0.1:{daemon.port}/readyz")


def _reading(node: Node) -> tuple[Detector, str, Path]:
    """Return a detector that reads the features file, and the option and folder for the daemon."""
    directory = node.directory / "features.d"
    directory.mkdir(exist_ok=True)
    return Detector(str(directory / "monobase")), "--features-dir", directory


def test_the_condition_is_true_from_the_moment_at_which_all_is_installed(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha"))})
    file, option, directory = _reading(node)
    assert file.status() == "Unknown"
    with (
        node.index.gate("*.whl"),
        node.daemon(option, str(directory), variables=PATIENT) as daemon,
    ):
        http = _asking(daemon)
        daemon.wait_until(lambda: "installing" in daemon.get("/readyz?format=text")[1])
        status, message = http.check()
        assert (status, message.startswith("not ready: g00000: 0 of 1 ready")) == ("False", True)
        assert file.status() != "True"
        assert not node.is_sealed()
        daemon.end()
    with node.daemon(option, str(directory)) as daemon:
        http = _asking(daemon)
        daemon.wait_until(lambda: http.status() == "True")
        assert node.is_sealed()
        assert http.check() == ("True", "ready: g00000, latest g00000")
        daemon.wait_until(lambda: file.check() == ("True", "ready: latest g00000"))


def test_an_install_that_failed_and_a_part_of_the_node_are_false_until_they_are_whole(node: Node) -> None:
    alpha, beta = node.wheel("alpha"), node.wheel("beta")
    node.define_all({0: [environment_cell([alpha]), environment_cell([beta], torch="2.4.1")]})
    node.index.repository.lose(beta.filename)
    file, option, directory = _reading(node)
    with node.daemon(option, str(directory)) as daemon:
        http = _asking(daemon)
        daemon.wait_until(lambda: "failed" in daemon.get("/readyz")[1] and node.environment().exists())
        status, message = http.check()
        assert (status, "1 of 2 ready" in message or "beta" in message) == ("False", True)
        daemon.wait_until(lambda: file.status() == "False")
        node.index.add(beta.spec)
        daemon.wait_until(lambda: http.status() == "True")
        daemon.wait_until(lambda: file.status() == "True")
        # A second generation makes the node unready again; a rule of mode `bootstrap-only` does not look.
        with node.index.down():
            node.define_all({1: cells(node.wheel("gamma"))})
            daemon.wait_until(lambda: http.status() == "False")
            daemon.wait_until(lambda: file.status() == "False")
            assert (node.prefix.generation("g00000") / _BAD).exists()
        daemon.wait_until(lambda: http.status() == "True")


def test_an_index_that_is_down_at_the_start_is_false(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha"))})
    with node.index.down(), node.daemon() as daemon:
        http = _asking(daemon)
        daemon.wait_until(lambda: daemon.said("trying again"))
        assert http.status() == "False"
        node.index.go_up()
        daemon.wait_until(lambda: http.status() == "True")


def test_a_daemon_that_stands_still_or_is_killed_is_unknown_and_one_that_starts_again_is_never_true_early(
    node: Node,
) -> None:
    node.define_all({0: cells(node.wheel("alpha"))})
    file, option, directory = _reading(node)
    with node.daemon(option, str(directory)) as daemon:
        http = _asking(daemon)
        daemon.wait_until(lambda: http.status() == "True")
        daemon.wait_until(lambda: file.status() == "True")
        daemon.process.send_signal(signal.SIGSTOP)
        status, message = http.check()
        assert (status, "no answer within" in message) == ("Unknown", True)
        daemon.process.send_signal(signal.SIGCONT)
        daemon.wait_until(lambda: http.status() == "True")
        daemon.end(signal.SIGKILL)
        assert http.status() == "Unknown"
        # The file has no such state: the environments are still installed, whoever runs.
        assert file.check() == ("True", "ready: latest g00000")
    node.environment().rename(node.directory / "taken")
    with (
        node.index.down(),
        node.daemon(option, str(directory), "--listen", http.argument.split("/")[2]) as daemon,
    ):
        seen = set()
        while "False" not in seen:
            assert daemon.process.poll() is None, daemon.log.read_text()
            seen.add(http.status())
        assert seen <= {"Unknown", "False"}
        daemon.wait_until(lambda: file.status() == "False")


@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics", "/nothing"])
def test_another_path_of_the_daemon_is_no_answer(node: Node, path: str) -> None:
    node.define_all({0: cells(node.wheel("alpha"))})
    with node.daemon() as daemon:
        daemon.wait_ready()
        address = f"http://127.0.0.1:{daemon.port}"
        assert Detector(f"{address}/readyz").status() == "True"
        assert Detector(f"{address}{path}").status() == "Unknown"
        assert Detector(f"{address}/readyz?format=text").status() == "True"
