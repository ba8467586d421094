"""Tests failures of an index and of a run: one message, an exit code, and an unchanged tree."""

import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.index.fault import Fault, reset, stall, status, truncate
from tests.index.server import LocalIndex
from tests.index.torch_set import RELEASES, torch_wheel
from tests.update.source_tree import BUILD_GENERATION, PLAIN_GENERATION, SourceTree, make_source_tree, publish

pytest_plugins = ["tests.index.fixture"]

# uv waits longer from try to try than a test wants to.
HASTY = {"UV_HTTP_RETRIES": "0"}


@pytest.fixture
def tree(local_index: LocalIndex, tmp_path: Path) -> SourceTree:
    """Return a tree with locks of a generation, and definitions of two."""
    tree = make_source_tree(local_index, tmp_path / "tree", [PLAIN_GENERATION, BUILD_GENERATION])
    publish(local_index)
    assert tree.update("--min-gen-id", "0", "--max-gen-id", "0").returncode == 0
    return tree


def assert_one_message(result: subprocess.CompletedProcess[str], exit_code: int) -> None:
    assert result.returncode == exit_code, result.stderr
    assert result.stderr.count("error: ") >= 1
    assert result.stderr.startswith("error: ") or "\nerror: " in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("way", [[], ["--check"], ["--min-gen-id", "0", "--refresh"]])
def test_an_unreachable_index_is_one_message_and_leaves_the_tree_untouched(
    tree: SourceTree, way: list[str]
) -> None:
    before = tree.files()
    with tree.index.down():
        result = tree.update("--min-gen-id", "1", *way, cache="empty", **HASTY)
    assert_one_message(result, 4)
    assert "an index failed, and nothing was changed; uv says:" in result.stderr
    assert tree.index.origin in result.stderr
    assert tree.files() == before


def test_with_nothing_to_do_an_unreachable_index_is_not_missed(tree: SourceTree) -> None:
    before = tree.files()
    with tree.index.down():
        result = tree.update("--min-gen-id", "0", "--max-gen-id", "0", cache="empty", **HASTY)
    assert result.returncode == 0, result.stderr
    assert tree.files() == before


@pytest.mark.parametrize("requests", [1, 5, 12, 25])
def test_an_index_that_goes_down_in_the_middle_leaves_the_tree_untouched(
    tree: SourceTree, requests: int
) -> None:
    before = tree.files()
    tree.index.go_down_after(requests)
    result = tree.update("--min-gen-id", "1", cache="empty", **HASTY)
    assert_one_message(result, 4)
    assert tree.files() == before
    tree.index.go_up()
    result = tree.update("--min-gen-id", "1", cache="empty", **HASTY)
    assert result.returncode == 0, result.stderr
    assert tree.files().keys() > before.keys()


def test_an_index_that_is_down_for_a_moment_is_asked_again(tree: SourceTree) -> None:
    tree.index.go_down_after(5, for_s=0.5)
    result = tree.update("--min-gen-id", "1", cache="empty")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    "fault",
    [
        status("/simple/*", code=500, times=2),
        status("/whl/*", code=503, times=2),
        reset("/simple/*", times=2),
        reset("*.metadata", after_bytes=10),
        truncate("/simple/*", after_bytes=50, times=2),
    ],
    ids=lambda fault: f"{fault.kind.name.lower()}-{fault.path.strip('/*.')}",
)
def test_a_passing_fault_changes_no_byte(tree: SourceTree, fault: Fault) -> None:
    assert tree.update("--min-gen-id", "1", cache="calm").returncode == 0
    calm = tree.files()
    with tree.index.fault(fault):
        result = tree.update("--min-gen-id", "1", "--refresh", cache="empty")
    assert result.returncode == 0, result.stderr
    assert tree.files() == calm


def test_a_killed_run_leaves_the_tree_untouched_and_the_next_one_completes(tree: SourceTree) -> None:
    before = tree.files()
    with tree.index.fault(stall("/simple/sympy/", delay_s=60, times=None)):
        tree.index.log.clear()
        with subprocess.Popen(
            tree.command("--min-gen-id", "1"),
            env=tree.environment("empty"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            tree.index.log.wait_for(
                lambda requests: any(request.path == "/simple/sympy/" for request in requests)
            )
            process.send_signal(signal.SIGKILL)
    assert tree.files() == before
    result = tree.update("--min-gen-id", "1", cache="other")
    assert result.returncode == 0, result.stderr


def test_a_wheel_without_metadata_is_the_index_s_fault_and_not_an_internal_error(tree: SourceTree) -> None:
    wheel = tree.index.add(
        replace(torch_wheel(RELEASES["2.4.1"], "cp311", toolkit=None), name="sympy", version="9")
    )
    before = tree.files()
    with tree.index.fault(status(f"*/{wheel.filename}*", code=404, times=None)):
        result = tree.update("--min-gen-id", "1", cache="empty", **HASTY)
    assert_one_message(result, 4)
    assert "sympy" in result.stderr
    assert tree.files() == before
