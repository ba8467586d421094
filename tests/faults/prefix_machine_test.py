"""A state machine of one prefix: install, damage, repair, prune, clean and lease in any order.

What `verify` says is held against a comparison that knows no manifest, and each command against a model of
what stands there. More of it by hand: MONOBASE_LAW_EXAMPLES=100.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from daemon.upkeep.verify import verify
from tests.faults.harm import HARMS, harm, harmable
from tests.faults.tree import Tree, leftovers, read_tree, tree_paths
from tests.index.cuda_set import cudnn_wheel
from tests.index.server import LocalIndex
from tests.laws import examples
from tests.node.node import Node, make_node
from tests.synthetic.catalog import environment_cell, toolkit_cell

_NEWEST = 2
_EXAMPLES, _STEPS = 5, 8
_NUMBERS = st.integers(0, _NEWEST)


@dataclass(frozen=True, slots=True)
class World:
    """The state that all examples share: the generations, and the result of an undisturbed install."""

    node: Node
    trees: dict[str, Tree]


def _define(node: Node) -> None:
    shared = {"both.py": b"z = 1\n"}
    alpha, beta, newer = (
        node.wheel(name, version, files={f"{name}/__init__.py": f"x = '{version}'\n".encode(), **shared})
        for name, version in (("alpha", "1.0"), ("beta", "1.0"), ("alpha", "2.0"))
    )
    cudnn = node.index.add(cudnn_wheel("9.1.0.70", 12))
    cells = {0: [alpha], 1: [alpha, beta, cudnn], 2: [newer, beta]}
    for number, wheels in cells.items():
        toolkits = [] if number == _NEWEST else [toolkit_cell([cudnn], "9.1.0.70", "12")]
        node.define(environment_cell(wheels), *toolkits, generation=number)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("world")
    with LocalIndex(directory / "index") as index:
        node = make_node(index, directory)
        _define(node)
        node.install()
        root = node.prefix.root
        yield World(node, {str(path.relative_to(root)): read_tree(path) for path in tree_paths(node.prefix)})


def _name(number: int) -> str:
    return f"g{number:05d}"


class PrefixMachine(RuleBasedStateMachine):
    """One prefix and the model of it."""

    world: World

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="machine", dir=self.world.node.directory))
        self.node = self.world.node.with_prefix(self.directory / "prefix")
        self.sealed: set[str] = set()
        self.latest: str | None = None
        self.leased: dict[str, int] = {}
        self.harmed = False
        self.outside = read_tree(self.node.gens)
        self.inodes: dict[str, tuple[int, int]] = {}

    def teardown(self) -> None:
        """Leave nothing."""
        for descriptor in self.leased.values():
            os.close(descriptor)
        shutil.rmtree(self.directory)

    @rule(newest=_NUMBERS, oldest=st.none() | _NUMBERS)
    def install(self, newest: int, oldest: int | None) -> None:
        """Install a range: each generation of it is sealed then, and `latest` names its newest."""
        first = min(oldest or 0, newest)
        before = {str(tree.relative_to(self.node.root)) for tree in tree_paths(self.node.prefix)}
        self._run("install", "--min-gen-id", str(first), "--max-gen-id", str(newest))
        self.sealed |= {_name(number) for number in range(first, newest + 1)}
        self.latest = _name(newest)
        assert {tree for tree, _ in self._differences()} <= before, "what was harmed before was sealed"

    @precondition(lambda self: self.sealed)
    @rule(data=st.data(), way=st.sampled_from(HARMS))
    def harm(self, data: st.DataObject, way: str) -> None:
        """Harm a file."""
        trees = sorted(tree_paths(self.node.prefix))
        tree = trees[data.draw(st.integers(0, len(trees) - 1))]
        files = harmable(tree)
        harm(files[data.draw(st.integers(0, len(files) - 1))], way)
        self.harmed = True
        self.inodes = self._inodes()

    @precondition(lambda self: self.sealed)
    @rule()
    def repair(self) -> None:
        """Repair: nothing differs any more, and what did not differ was not touched."""
        damaged = {f"{tree}/{path}" for tree, path in self._differences()}
        before = {path: state for path, state in self.inodes.items() if path not in damaged}
        self._run("verify", "--repair")
        self.harmed = False
        assert self._differences() == set()
        after = self._inodes()
        assert {path: after.get(path) for path in before} == before
        self.inodes = after

    @precondition(lambda self: self.sealed and not self.harmed)
    @rule(oldest=_NUMBERS)
    def prune(self, oldest: int) -> None:
        """Prune: what is old goes, but for what `latest` names or a model has leased."""
        gone = {
            name for name in self.sealed
            if name < _name(oldest) and name != self.latest and name not in self.leased
        }  # fmt: skip
        self._run("prune", "--min-gen-id", str(oldest))
        self.sealed -= gone

    @precondition(lambda self: self.sealed)
    @rule()
    def lose_the_cache(self) -> None:
        """Lose uv's cache, as `run --clean-uv-cache` would let it go."""
        shutil.rmtree(self.node.prefix.uv_cache, ignore_errors=True)

    @precondition(lambda self: self.sealed)
    @rule(data=st.data())
    def lease(self, data: st.DataObject) -> None:
        """Take a lease on a generation, or release it."""
        name = data.draw(st.sampled_from(sorted(self.sealed)))
        if name in self.leased:
            os.close(self.leased.pop(name))
            return
        descriptor = os.open(self.node.prefix.generation(name), os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        self.leased[name] = descriptor

    @invariant()
    def what_stands_is_what_the_model_says(self) -> None:
        """Look at everything after each step."""
        prefix = self.node.prefix
        assert {name for name in prefix.installed_generations() if self.node.is_sealed(name)} == self.sealed
        assert (os.readlink(prefix.latest) if self.latest else None) == self.latest  # noqa: PTH115
        assert leftovers(prefix) == []
        assert read_tree(self.node.gens) == self.outside
        assert {path.name for path in self.directory.iterdir()} <= {"prefix"}
        found = verify(prefix, prefix.installed_generations(), jobs=1).findings
        assert {(finding.tree, finding.path) for finding in found} == self._differences()
        assert self.harmed or not found

    @invariant()
    def no_inode_of_a_sealed_tree_is_written(self) -> None:
        """Check that existing files kept inode and time, or were removed with their generation."""
        after = self._inodes()
        changed = {path for path, state in self.inodes.items() if path in after and after[path] != state}
        assert changed == set()
        self.inodes = after

    def _differences(self) -> set[tuple[str, str]]:
        """Compare with an undisturbed install; a folder in place of a file counts once, as that file."""
        prefix, found = self.node.prefix, set()
        for tree in tree_paths(prefix):
            name = str(tree.relative_to(prefix.root))
            now, expected = read_tree(tree), self.world.trees[name]
            found |= {
                (name, path) for path in now.keys() | expected.keys() if now.get(path) != expected.get(path)
            }
        return found

    def _inodes(self) -> dict[str, tuple[int, int]]:
        root = self.node.prefix.root
        return {
            str(path.relative_to(root)): ((status := path.lstat()).st_ino, status.st_mtime_ns)
            for tree in tree_paths(self.node.prefix)
            for path in tree.rglob("*")
            if not path.is_dir()
        }

    def _run(self, verb: str, *arguments: str) -> None:
        with (self.directory.parent / "said").open("w+b") as said:
            process = self.node.spawn(verb, *arguments, said=said, variables={}, before=())
            code = process.wait(timeout=120)
            said.seek(0)
            assert code == 0, said.read().decode()


def test_a_prefix_is_what_the_model_says_whatever_is_done_to_it(world: World) -> None:
    machine = type("Machine", (PrefixMachine,), {"world": world})
    # Without shrinking: each step is a real process.
    quick = settings(examples(_EXAMPLES), stateful_step_count=_STEPS, phases=(Phase.explicit, Phase.generate))
    run_state_machine_as_test(machine, settings=quick)
