"""A kill before each change of an operation leaves what is whole, and what the next writer completes.

Each kill is a real SIGKILL of a child process, before a call that makes, links, renames or removes a name, or
opens a file for writing. `//tests/faults:power_loss_test` tries what a power loss takes besides.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.prefix.bytecode_list import bytecode_list_path, format_bytecode_list, keep_bytecode_lists
from daemon.prefix.environments_file import read_targets, write_environments
from daemon.prefix.finding import Finding
from daemon.prefix.generation import is_present, is_sealed, list_generation
from daemon.prefix.latest import latest_name, point_latest
from daemon.prefix.mark import read_mark
from daemon.prefix.mark_check import check_mark
from daemon.prefix.prefix import Prefix
from daemon.prefix.publication import CompleteTree, publish, replace_tree, seal, write_list
from daemon.prefix.retirement import (
    empty_uv_cache,
    remove_evicted,
    remove_retired,
    remove_unused,
    retire,
    retire_environment,
    sync_names,
)
from daemon.prefix.staging import begin_staging, end_staging, remove_leftovers
from daemon.prefix.store_check import check_stores
from daemon.prefix.toolkit_tree import link_toolkit
from daemon.prefix.tree_check import Digests, verify_tree
from daemon.prefix.writer_lock import WriterLock, writer_lock
from gens.selection import Selection
from tests.fake_prefix.fake_prefix import BYTECODE_KEY, FakePrefix
from tests.synthetic.catalog import environment_cell

_NAME, _OTHER = "g00000", "g00001"
_TOOLKIT = "cudnn-9.1.0.70-cuda12"
_CHANGES = {
    "os.chmod",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.symlink",
    "os.truncate",
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation to kill.

    Attributes:
        run: Does it, or completes what an earlier try has done.
        begin: The state before: `defined`, `published`, `a part` or `sealed`.
        is_done: Whether it was done.
        points: At least so many kills were tried.
        prepare: Makes what the operation takes, in the staging folder; it is not killed.
    """

    run: Callable[[FakePrefix, WriterLock], None]
    begin: str
    is_done: Callable[[FakePrefix], bool]
    points: int
    prepare: Callable[[FakePrefix], object] = lambda _: None


def _stage(fake: FakePrefix) -> Path:
    begin_staging(fake.prefix)
    return fake.stage(0, fake.environment)


def _publish(fake: FakePrefix, writer: WriterLock) -> None:
    prefix, generation = fake.prefix, fake.generation(0)
    trees = [CompleteTree("cudnn9-cuda12", None, prefix.toolkits / _TOOLKIT)]
    if not is_present(prefix, generation, generation.environments[0]):
        staged = fake.stage(0, fake.environment)
        trees.append(CompleteTree(fake.environment, staged, prefix.generation(_NAME) / fake.environment))
    publish(writer, generation, trees)
    end_staging(prefix)


def _is_published(fake: FakePrefix) -> bool:
    return {item.name for item in read_targets(fake.prefix, _NAME) if item.ready} == {
        fake.environment,
        fake.toolkit,
    }


def _retire(fake: FakePrefix, writer: WriterLock) -> None:
    if _NAME in fake.prefix.installed_generations():
        begin_staging(fake.prefix)
        assert retire(writer, _NAME)
        sync_names(fake.prefix)
        remove_retired(writer, _NAME)
        end_staging(fake.prefix)


def _evict(fake: FakePrefix, writer: WriterLock) -> None:
    if is_present(fake.prefix, fake.generation(0), fake.generation(0).environments[0]):
        retired = retire_environment(writer, _NAME, fake.environment)
        assert retired is not None
        remove_evicted(writer, retired)


def _is_evicted(fake: FakePrefix) -> bool:
    is_gone = not (fake.prefix.generation(_NAME) / fake.environment).exists()
    offered = {item.name: item.ready for item in read_targets(fake.prefix, _NAME)}
    # Neither the mark nor the list ever stands for what has gone.
    mark = read_mark(fake.prefix.sealed_mark(_NAME))
    assert mark is not None
    assert not (is_gone and (fake.environment in mark.manifests or offered[fake.environment]))
    return is_gone


def _remove_toolkit(fake: FakePrefix, writer: WriterLock) -> None:
    other = fake.prefix.toolkits / "cudnn-8.9.7.29-cuda11"
    if other.exists():
        begin_staging(fake.prefix)
        remove_unused(writer, str(other))
        end_staging(fake.prefix)


def _replace(fake: FakePrefix, writer: WriterLock) -> None:
    tree = fake.prefix.generation(_NAME) / fake.environment
    if not tree.is_dir():
        replace_tree(writer, fake.stage(0, fake.environment), tree)
    end_staging(fake.prefix)


def _keep_list(fake: FakePrefix, writer: WriterLock) -> None:
    begin_staging(fake.prefix)
    keep_bytecode_lists(writer.prefix, [("a" * 64, BYTECODE_KEY, format_bytecode_list([]))])
    end_staging(fake.prefix)


def _link(fake: FakePrefix, _: WriterLock) -> None:
    link_toolkit(fake.prefix.generation(_NAME) / fake.toolkit, _TOOLKIT)


def _part(fake: FakePrefix) -> Selection:
    return Selection((fake.toolkit,))


def _seal_part(fake: FakePrefix, writer: WriterLock) -> None:
    assert seal(writer, fake.generation(0), _part(fake))


def _has_part(fake: FakePrefix) -> bool:
    """Return whether mark and list are those of the part; what was sealed before is sealed in any case."""
    mark = read_mark(fake.prefix.sealed_mark(_NAME))
    return mark is not None and mark.covers([fake.toolkit]) and mark.is_settled(_part(fake).option)


def _widen(fake: FakePrefix, writer: WriterLock) -> None:
    generation = fake.generation(0)
    write_list(writer, generation)
    _publish(fake, writer)
    assert seal(writer, generation)


def _is_widened(fake: FakePrefix) -> bool:
    assert is_sealed(fake.prefix, fake.generation(0), {fake.toolkit})
    return is_sealed(fake.prefix, fake.generation(0))


_OPERATIONS = {
    "publish": Operation(_publish, "defined", _is_published, 10, _stage),
    "seal": Operation(
        lambda fake, writer: _told(seal(writer, fake.generation(0))),
        "published",
        lambda fake: is_sealed(fake.prefix, fake.generation(0)),
        4,
    ),
    "seal a part": Operation(_seal_part, "published", _has_part, 4),
    "widen a part": Operation(_widen, "a part", _is_widened, 20, _stage),
    "point latest": Operation(
        lambda fake, writer: _told(point_latest(writer, [fake.generation(0)])),
        "sealed",
        lambda fake: latest_name(fake.prefix) == _NAME,
        2,
    ),
    "retire": Operation(_retire, "sealed", lambda fake: _NAME not in fake.prefix.installed_generations(), 20),
    "evict": Operation(_evict, "sealed", _is_evicted, 10),
    "empty cache": Operation(
        lambda _, writer: _told(empty_uv_cache(writer) >= 0),
        "sealed",
        lambda fake: fake.prefix.uv_cache.exists() and not any(fake.prefix.uv_cache.glob("archive*")),
        20,
    ),
    "write list": Operation(
        lambda fake, _: write_environments(fake.prefix, fake.generation(0), sealed=False),
        "defined",
        lambda fake: fake.prefix.environments_file(_NAME).exists(),
        3,
    ),
    "remove toolkit": Operation(
        _remove_toolkit, "toolkit", lambda fake: len(list(fake.prefix.toolkits.iterdir())) == 1, 5
    ),
    "replace tree": Operation(
        _replace,
        "without its environment",
        lambda fake: (fake.prefix.generation(_NAME) / fake.environment).is_dir(),
        3,
        _stage,
    ),
    "keep a list": Operation(
        _keep_list,
        "sealed",
        lambda fake: bytecode_list_path(fake.prefix, "a" * 64, BYTECODE_KEY).exists(),
        3,
    ),
    "link toolkit": Operation(
        _link,
        "link astray",
        lambda fake: (fake.prefix.generation(_NAME) / fake.toolkit).resolve().name == _TOOLKIT,
        2,
    ),
}


def _told(answer: object) -> None:
    assert answer


def _make(directory: Path, state: str) -> FakePrefix:
    directory.mkdir()
    fake = FakePrefix(directory)
    alpha, beta, cudnn = fake.wheel("alpha"), fake.wheel("beta"), fake.cudnn_cell()
    fake.install(1, environment_cell([alpha]), cudnn)
    fake.define(0, environment_cell([alpha, beta]), cudnn)
    if state == "a part":
        fake.publish(0, fake.toolkit)
        fake.seal(0, _part(fake))
    elif state != "defined":
        fake.publish(0)
    if state in {"sealed", "link astray", "without its environment"}:
        fake.seal(0)
    if state == "toolkit":
        fake.stage(1, fake.toolkit).rename(fake.prefix.toolkits / "cudnn-8.9.7.29-cuda11")
        fake.prefix.staging.rmdir()
    if state == "without its environment":
        tree = fake.prefix.generation(_NAME) / fake.environment
        tree.rename(directory / "moved")
        tree.touch()
    if state == "link astray":
        link = fake.prefix.generation(_NAME) / fake.toolkit
        link.unlink()
        link.symlink_to("../../cuda/nothing")
    return fake


def _run_until(fake: FakePrefix, operation: Operation, point: int) -> bool:
    """Run an operation in a child, which is killed before a change; return whether it came to that change."""
    child = os.fork()
    if child == 0:
        try:
            with writer_lock(fake.prefix, 0, lambda _: None) as writer:
                left = [point]

                def count(event: str, arguments: tuple[object, ...]) -> None:
                    writing = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING
                    if event in _CHANGES or writing:
                        if left[0] == 0:
                            os.kill(os.getpid(), signal.SIGKILL)
                        left[0] -= 1

                sys.addaudithook(count)
                operation.run(fake, writer)
                left[0] = -1
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def _differences(prefix: Prefix, *, without: str) -> list[Finding]:
    """Compare all that has a final name with what is said of it, but for what the test has damaged before."""
    found: list[Finding] = []
    for name in prefix.installed_generations():
        check_mark(prefix, name, found)
        for entry in list_generation(prefix, name):
            if entry.path.is_dir():
                verify_tree(prefix, entry.path.resolve(), Digests(1), found)
    check_stores(prefix, found)
    return [item for item in found if not (without and without in f"{item.tree}/{item.path}")]


_DAMAGED_BEFORE = {"link astray": FakePrefix.toolkit, "without its environment": FakePrefix.environment}


@pytest.mark.parametrize("name", _OPERATIONS)
def test_a_kill_at_any_point_leaves_what_the_next_writer_completes(tmp_path: Path, name: str) -> None:
    operation = _OPERATIONS[name]
    point, killed = 0, True
    while killed:
        fake = _make(tmp_path / str(point), operation.begin)
        operation.prepare(fake)
        killed = _run_until(fake, operation, point)
        without = "" if operation.is_done(fake) else _DAMAGED_BEFORE.get(operation.begin, "")
        with writer_lock(fake.prefix, 0, lambda _: None) as writer:
            remove_leftovers(fake.prefix, lambda _: None)
            left = [path.name for path in fake.prefix.root.rglob("*tmp") if "archive" not in str(path)]
            assert left == [], f"killed at {point}"
            assert _differences(fake.prefix, without=without) == [], f"killed at {point}"
            assert is_sealed(fake.prefix, fake.generation(1))
            assert latest_name(fake.prefix) in {_OTHER, _NAME if name == "point latest" else _OTHER}
            assert killed or operation.is_done(fake)
            operation.prepare(fake)
            operation.run(fake, writer)
            assert operation.is_done(fake), f"killed at {point}"
            assert _differences(fake.prefix, without="") == [], f"killed at {point}"
        point += 1
    assert point > operation.points
