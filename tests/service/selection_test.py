"""Nodes that hold different parts of a generation: real daemons, real models, and one index."""

import json
import subprocess
from pathlib import Path

import pytest

from daemon.prefix.environments_file import read_list
from runtime.shells import EXEC, SYSTEM_PATH
from tests.node.node import PLAIN, Node
from tests.node.running_daemon import Daemon
from tests.synthetic.catalog import PYTHON, cells

pytest_plugins = ["tests.service.fixture"]

_OLD, _NEW = "2.4.1", "2.5.1"
_LABEL = "feature.node.kubernetes.io/monobase-"


def _torch(release: str) -> str:
    return f"{PLAIN}-torch{release}-cpu"


def _define_pool(node: Node, name: str, *patterns: str) -> None:
    path = node.gens / "pools.json"
    pools = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**pools, name: patterns}))


def _labels(daemon: Daemon, features: Path) -> set[str]:
    """Return what a ready node tells node-feature-discovery."""
    file = features / "monobase"
    daemon.wait_until(lambda: file.exists() and "monobase-ready=true" in file.read_text())
    return {line.removeprefix(_LABEL) for line in file.read_text().splitlines()}


def _model(node: Node, torch: str, wait_s: int = 0) -> "subprocess.CompletedProcess[str]":
    """Run a model that imports its package and prints where it comes from."""
    variables = {
        "PATH": SYSTEM_PATH, "HOME": str(node.directory), "MONOBASE_PREFIX": str(node.root),
        "PYTHON_VERSION": PYTHON, "TORCH_VERSION": torch, "MONOBASE_WAIT_S": str(wait_s),
    }  # fmt: skip
    command = [str(EXEC), "python", "-c", "import alpha, sys; print(sys.prefix)"]
    return subprocess.run(
        command, env=variables, capture_output=True, text=True, timeout=300, check=False
    )  # fmt: skip


def test_two_nodes_with_different_selections_tell_what_each_has(node: Node, tmp_path: Path) -> None:
    node.define_all({0: cells(node.wheel("alpha"), torch=(_OLD, _NEW))})
    _define_pool(node, "old", f"*-torch{_OLD}-*")
    other = node.with_prefix(tmp_path / "other")
    folders = [tmp_path / "features", tmp_path / "other-features"]
    for folder in folders:
        folder.mkdir()
    with (
        node.daemon("--pool", "old", "--features-dir", str(folders[0])) as first,
        other.daemon("--only", f"*-torch{_NEW}-*", "--features-dir", str(folders[1])) as second,
    ):
        for daemon in (first, second):
            daemon.wait_ready()
        common = {"ready=true", "latest=g00000"}
        assert _labels(first, folders[0]) == {*common, f"g00000.{_torch(_OLD)}=true"}
        assert _labels(second, folders[1]) == {*common, f"g00000.{_torch(_NEW)}=true"}
        assert first.get("/readyz?format=text")[1] == "ready: g00000, latest g00000, --pool old\n"
        assert json.loads(second.get("/readyz")[1])["selection"] == f"--only *-torch{_NEW}-*"
        assert first.metric('monobase_selection_info{selection="--pool old"}') == 1
        assert "left out (--pool old)" in first.get("/")[1]
        right, wrong = _model(node, _OLD), _model(node, _NEW, wait_s=600)
    assert (right.returncode, right.stdout) == (0, f"{node.environment(_torch(_OLD))}\n"), right.stderr
    assert wrong.returncode == 69, wrong.stderr
    assert wrong.stderr.splitlines()[0] == (
        f"monobase: error: {_torch(_NEW)} of generation g00000 is left out on this node by its selection: "
        "--pool old."
    )
    assert f"monobase-g00000.{_torch(_NEW)}=true" in wrong.stderr
    assert "sealed for --pool old" in node.run("status").stdout
    for one, option in ((node, ("--pool", "old")), (other, ("--only", f"*-torch{_NEW}-*"))):
        one.run("ready", *option)
        one.run("ready", code=1)
        one.run("verify")


def test_with_the_index_down_the_old_part_stays_until_the_new_one_stands(node: Node) -> None:
    part = ("--only", f"*-torch{_OLD}-*")
    node.define_all(
        {
            0: cells(node.wheel("alpha"), torch=(_OLD, _NEW)),
            1: cells(node.wheel("alpha", "2.0"), torch=(_OLD, _NEW)),
        }
    )
    with node.daemon(*part, "--max-gen-id", "0") as daemon:
        daemon.wait_ready()
    node.index.go_down()
    raised = (*part, "--min-gen-id", "1", "--prune-old-gen")
    with node.daemon(*raised) as daemon:
        daemon.wait_until(lambda: daemon.said("trying again"))
        assert daemon.get("/readyz")[0] == 503
        assert node.prefix.latest.readlink() == Path("g00000")
        assert node.prefix.installed_generations()[0] == "g00000"
        still = _model(node, _OLD)
        assert (still.returncode, still.stdout) == (0, f"{node.environment(_torch(_OLD))}\n"), still.stderr
        node.index.go_up()
        daemon.wait_ready()
        assert node.prefix.latest.readlink() == Path("g00001")
        daemon.wait_until(lambda: node.prefix.installed_generations() == ["g00001"])
    now = _model(node, _OLD)
    assert now.stdout == f"{node.environment(_torch(_OLD), 'g00001')}\n"
    assert not node.environment(_torch(_NEW), "g00001").exists()
    node.run("verify")


def test_what_is_no_longer_selected_stays_until_its_removal_is_asked_for(node: Node) -> None:
    node.define_all({0: cells(node.wheel("alpha"), torch=(_OLD, _NEW))})
    part = ("--only", f"*-torch{_NEW}-*")
    with node.daemon() as daemon:
        daemon.wait_ready()
    inode = node.environment(_torch(_NEW)).stat().st_ino
    with node.daemon(*part) as daemon:
        daemon.wait_ready()
        assert node.environment(_torch(_OLD)).exists()
        assert _model(node, _OLD).returncode == 0
    with node.daemon(*part, "--prune-unselected") as daemon:
        # The list is the last to change; a daemon that is killed before writes it when it starts again.
        daemon.wait_until(lambda: f"left-out {_torch(_OLD)}" in read_list(node.prefix, "g00000"))
        daemon.wait_ready()
    assert not node.environment(_torch(_OLD)).exists()
    assert not node.environment().exists()
    assert node.environment(_torch(_NEW)).stat().st_ino == inode
    assert _model(node, _OLD).returncode == 69
    node.run("ready", *part)
    node.run("verify")


@pytest.mark.parametrize("command", ["run", "install"])
def test_a_pool_that_is_not_defined_is_refused(node: Node, command: str) -> None:
    node.define_all({0: cells(node.wheel("alpha"))})
    _define_pool(node, "old", "python*")
    said = node.run(command, "--pool", "h100", code=3).stderr
    assert "there is no pool h100; there are old" in said
    assert (
        "--only and --pool old contradict each other"
        in node.run(command, "--pool", "old", "--only", "python*", code=2).stderr
    )
