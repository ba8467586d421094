"""A disk that fills up in fetch, in link and in seal: one message, and more room completes."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.faults.mount import ext4, fill_bytes, fill_inodes, private_mounts, resize_tmpfs, tmpfs
from tests.faults.system_calls import count_by_thread, installer_only, strace_program
from tests.index.server import LocalIndex
from tests.node.node import PLAIN, Node, make_node
from tests.synthetic.catalog import environment_cell

pytest_plugins = ["tests.index.fixture"]

_MB = 1_000_000
_FIGURES = re.compile(
    r"no space left on the disk \([\d,]+ bytes of [\d,]+(?: and [\d,]+ inodes of [\d,]+)? are free now\)"
)
_STAGE_LINE = re.compile(r"^(plan|fetch|link|compile|lay out|seal) ", re.MULTILINE)
_NEWEST = "g00001"


@pytest.fixture(scope="module", autouse=True)
def _mounts() -> None:
    private_mounts()


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    return make_node(local_index, tmp_path).with_prefix(tmp_path / "disk" / "prefix")


def _install_the_first_generation(node: Node) -> None:
    node.define(environment_cell([node.wheel()]))
    node.install()
    assert node.is_sealed()


def _check_the_message(node: Node, said: str) -> None:
    assert len(_FIGURES.findall(said)) == 1, said
    assert len(re.findall(rf"^error: {re.escape(str(node.root))}: ", said, re.MULTILINE)) == 1, said
    assert "Traceback" not in said


def _check_the_refusal(node: Node, said: str, after_stage: str) -> None:
    _check_the_message(node, said)
    assert _STAGE_LINE.findall(said)[-1] == after_stage, said
    assert node.differences() == []
    assert node.prefix.latest.readlink() == Path("g00000")
    assert not node.environment(generation=_NEWEST).exists()
    assert not node.is_sealed(_NEWEST)


def _check_that_it_completes(node: Node) -> None:
    node.install()
    assert node.is_sealed(_NEWEST)
    assert node.prefix.latest.readlink() == Path(_NEWEST)
    assert not node.prefix.staging.exists()
    node.verify()


def test_what_cannot_fit_is_refused_before_anything_is_fetched(node: Node, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", size_bytes=12 * _MB):
        _install_the_first_generation(node)
        large = node.wheel("large", files={"large/data.bin": os.urandom(8 * _MB)})
        node.define(environment_cell([large]), generation=1)
        node.index.log.clear()
        said = node.install(code=5)
        assert re.search(r"about [\d,]+ bytes are needed .* [\d,]+ are free", said), said
        assert node.index.log.requests() == ()
        assert node.differences() == []
        resize_tmpfs(tmp_path / "disk", size_bytes=60 * _MB)
        _check_that_it_completes(node)


def test_a_disk_without_bytes_in_fetch(node: Node, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", size_bytes=12 * _MB):
        _install_the_first_generation(node)
        # Ten times as large when it is unpacked as anything that a plan could expect from its size.
        files = {f"large/{number}.py": b"#" * 40_000 for number in range(500)}
        large = node.wheel("large", files=files, deflated=True)
        assert large.size_bytes < _MB
        node.define(environment_cell([large]), generation=1)
        _check_the_refusal(node, node.install(code=5), after_stage="plan")
        resize_tmpfs(tmp_path / "disk", size_bytes=80 * _MB)
        _check_that_it_completes(node)


def test_a_disk_without_inodes_in_fetch(node: Node, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", size_bytes=60 * _MB, inodes=3_000):
        _install_the_first_generation(node)
        many = node.wheel("many", files={f"many/{number}.txt": b"x" for number in range(3_000)})
        node.define(environment_cell([many]), generation=1)
        _check_the_refusal(node, node.install(code=5), after_stage="plan")
        resize_tmpfs(tmp_path / "disk", size_bytes=60 * _MB, inodes=40_000)
        _check_that_it_completes(node)


def test_a_disk_without_inodes_in_link(node: Node, tmp_path: Path) -> None:
    # Each environment has its own folders, and each link counts as an inode on such a file system.
    with tmpfs(tmp_path / "disk", size_bytes=60 * _MB, inodes=7_000):
        _install_the_first_generation(node)
        deep = node.wheel("deep", files={f"deep/d{number}/x.txt": b"x" for number in range(1_000)})
        node.define(
            environment_cell([deep]), environment_cell([deep], "2.4.1"), environment_cell([deep], "2.5.1"),
            generation=1,
        )  # fmt: skip
        _check_the_refusal(node, node.install(code=5), after_stage="fetch")
        resize_tmpfs(tmp_path / "disk", size_bytes=60 * _MB, inodes=60_000)
        _check_that_it_completes(node)


def test_a_disk_without_bytes_in_link(node: Node, tmp_path: Path) -> None:
    with ext4(tmp_path / "disk", size_bytes=64 * _MB, inodes=20_000):
        _install_the_first_generation(node)
        # A folder takes a block of its own there, also where all that it holds is links.
        deep = node.wheel("deep", files={f"deep/d{number}/x.txt": b"x" for number in range(1_500)})
        node.define(
            environment_cell([deep]), environment_cell([deep], "2.4.1"), environment_cell([deep], "2.5.1"),
            environment_cell([deep], "2.6.0"), generation=1,
        )  # fmt: skip
        filling = tmp_path / "disk" / "filling"
        fill_bytes(filling, leave_bytes=24 * _MB)
        _check_the_refusal(node, node.install(code=5), after_stage="fetch")
        filling.unlink()
        _check_that_it_completes(node)


def test_a_disk_without_inodes_is_refused_by_the_plan_with_both_figures(node: Node, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", size_bytes=60 * _MB, inodes=600):
        # A wheel counts for 20 files at the least, whatever its size.
        node.define(environment_cell([node.wheel(f"small{number}") for number in range(30)]))
        said = node.install(code=5)
        assert re.search(r"about [\d,]+ inodes are needed .* [\d,]+ are free", said), said


@pytest.mark.parametrize("resource", ["bytes", "inodes"])
def test_a_disk_that_is_full_when_sealing_begins(node: Node, tmp_path: Path, resource: str) -> None:
    if strace_program() is None:
        pytest.skip("strace is not installed here; the toolbox of ./bazelw has it")
    with tmpfs(tmp_path / "disk", size_bytes=60 * _MB, inodes=20_000):
        _install_the_first_generation(node)
        node.define(environment_cell([node.wheel("beta")]), generation=1)
        last = _syncs_of_an_install(node, tmp_path)
        stopped = tmp_path / "stopped"
        process = node.start(before=installer_only(
            "-e", "trace=syncfs", "-e", f"inject=syncfs:signal=STOP:when={last}", "-o", str(stopped)
        ))  # fmt: skip
        installer = _wait_until_stopped(stopped)
        filling = tmp_path / "disk" / "filling"
        if resource == "bytes":
            fill_bytes(filling, leave_bytes=0)
        else:
            fill_inodes(filling)
        os.kill(installer, signal.SIGCONT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 5, said
        _check_the_message(node, said)
        assert _STAGE_LINE.findall(said)[-1] == "lay out", said
        assert node.differences() == []
        assert node.prefix.latest.readlink() == Path("g00000")
        assert not node.is_sealed(_NEWEST)
        for path in (tmp_path / "disk").glob("filling*"):
            path.unlink()
        _check_that_it_completes(node)


def _syncs_of_an_install(node: Node, directory: Path) -> int:
    """Count the syncs of the same install on another prefix; the last one begins the sealing.

    strace counts those of each thread. The thread that seals has the most: that of a fetch has one.
    """
    trace = directory / "trace"
    other = node.with_prefix(directory / "other")
    other.install("--max-gen-id", "0")
    other.install(before=installer_only("-e", "trace=syncfs", "-o", str(trace)))
    ((_, most), (_, next_most), *_) = count_by_thread(trace).most_common()
    assert most > next_most
    return most


def _wait_until_stopped(trace: Path) -> int:
    """Return the process that strace stopped, once it stands still."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        said = trace.read_text() if trace.exists() else ""
        found = re.search(r"^(\d+) +--- stopped by SIGSTOP ---$", said, re.MULTILINE)
        if found is not None:
            return int(found[1])
        time.sleep(0.05)
    raise TimeoutError("the installer was not stopped")


def test_a_partial_install_stays_usable_when_the_disk_fills_up(node: Node, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", size_bytes=30 * _MB, inodes=9_000):
        alpha = node.wheel()
        deep = node.wheel("deep", files={f"deep/d{number}/x.txt": b"x" for number in range(2_500)})
        node.define(environment_cell([alpha]), environment_cell([alpha, deep], "2.4.1"))
        node.install("--only", PLAIN)
        node.install(code=5)
        assert node.environment().exists()
        assert node.differences() == []
        resize_tmpfs(tmp_path / "disk", size_bytes=60 * _MB, inodes=40_000)
        node.install()
        node.verify()
