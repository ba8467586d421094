"""Whatever is written goes to a new inode: no operation reaches a file that is linked elsewhere.

Each case prepares a prefix in which the operation must replace a file, gives that file a second name outside,
and runs the operation.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.host.durability import write_file, write_if_changed
from daemon.host.known_contents import KnownContents
from daemon.prefix.bytecode_list import (
    bytecode_path,
    format_bytecode_list,
    keep_bytecode_lists,
    read_bytecode_list,
)
from daemon.prefix.bytecode_store import BytecodeStore
from daemon.prefix.content_source import ContentSource
from daemon.prefix.content_store import ContentStore
from daemon.prefix.environments_file import replace_environments, write_environments
from daemon.prefix.finding import Finding
from daemon.prefix.gpu_architectures import architectures_path, keep_architectures
from daemon.prefix.interpreter_folder import interpreter_staging, list_interpreter, publish_interpreter
from daemon.prefix.inventory import (
    Inventory,
    InventoryFile,
    inventory_path,
    keep_inventory,
    write_inventory,
)
from daemon.prefix.machine import claim_machine
from daemon.prefix.manifest import MANIFEST_NAME, expected_files, read_manifest
from daemon.prefix.mark import read_mark, write_mark
from daemon.prefix.mending import mend_tree, put_in_place, remove_extra
from daemon.prefix.prefix import Prefix
from daemon.prefix.publication import publish_record, unseal
from daemon.prefix.staging import begin_staging, set_file, set_link, temporary_path
from daemon.prefix.tree_check import Digests, trusted_owners, verify_tree
from daemon.prefix.writer_lock import writer_lock
from tests.fake_prefix.fake_prefix import BYTECODE_KEY, INTERPRETER, SITE_PACKAGES, FakePrefix
from tests.synthetic.catalog import PYTHON


@dataclass(frozen=True, slots=True)
class Case:
    """An operation that replaces a file.

    Attributes:
        path: The file.
        run: Replaces it.
        damage: Whether the file must be damaged first, so that there is something to replace.
    """

    path: Callable[[FakePrefix], Path]
    run: Callable[[FakePrefix, Path], object]
    damage: bool = True


def _source(fake: FakePrefix) -> Path:
    return fake.tree(0) / SITE_PACKAGES / "alpha" / "__init__.py"


def _compiled(fake: FakePrefix) -> Path:
    return next(fake.tree(0).rglob("*.pyc"))


def _list(fake: FakePrefix) -> Path:
    return fake.prefix.environments_file("g00000")


def _mark(fake: FakePrefix) -> Path:
    return fake.prefix.sealed_mark("g00000")


def _content_source(prefix: Prefix) -> ContentSource:
    store = ContentStore(prefix.files, prefix.staging)
    return ContentSource(prefix.staging, store, trusted_owners(prefix))


def _expected(fake: FakePrefix, path: Path) -> InventoryFile:
    tree = fake.tree(0)
    found = expected_files(fake.prefix, read_manifest(tree / MANIFEST_NAME))
    return found[str(path.relative_to(tree))]


def _take(fake: FakePrefix, path: Path) -> None:
    """Take the right content from the wheel's own copy, as it was before it was damaged."""
    file = _expected(fake, path)
    lender = fake.directory / "lender"
    lender.write_bytes(b"NAME = 'alpha'\n")
    source = _content_source(fake.prefix)
    staged = source.take(file, [], [lender, path])
    assert staged is not None
    put_in_place(staged, fake.tree(0), str(path.relative_to(fake.tree(0))))


def _mend(fake: FakePrefix, path: Path) -> None:
    made = fake.directory / "made"
    relative = str(path.relative_to(fake.tree(0)))
    (made / relative).parent.mkdir(parents=True)
    (made / relative).write_bytes(b"made again")
    mend_tree(fake.tree(0), made, [Finding("it", relative, "changed")])


def _adopt(fake: FakePrefix, path: Path) -> None:
    status = path.lstat()
    other = fake.directory / "other"
    other.write_bytes(b"NAME = 'alpha'\n")
    entry = ContentStore(fake.prefix.files, fake.prefix.staging)
    sha256 = _expected(fake, path).sha256
    assert entry.adopt(str(other), sha256, other.lstat()) in {"linked", "renewed"}
    assert path.lstat().st_ino == status.st_ino


def _replace_bytecode(fake: FakePrefix, path: Path) -> None:
    wheel = fake.catalog.lock(fake.generation(0), fake.generation(0).environments[0]).wheels[0]
    (file,) = read_bytecode_list(fake.prefix, wheel.sha256, BYTECODE_KEY) or []
    wanted = (BYTECODE_KEY, file.source_sha256, file.sha256)
    store = BytecodeStore(fake.prefix, KnownContents(1))
    assert store.check([wanted]) == set()
    shared = bytecode_path(fake.prefix, *wanted)
    shared.write_bytes(b"made again")
    store.replace_damaged()
    assert path.read_bytes() == b"made again"


def _publish_interpreter(fake: FakePrefix, path: Path) -> None:
    content = b"# the standard library\n"
    with interpreter_staging(fake.prefix) as staging:
        made = staging / INTERPRETER
        for old in fake.interpreter.rglob("*"):
            new = made / old.relative_to(fake.interpreter)
            new.parent.mkdir(parents=True, exist_ok=True)
            if old.is_symlink():
                new.symlink_to(old.readlink())
            elif old.is_file():
                new.write_bytes(content if old == path else old.read_bytes())
                new.chmod(old.stat().st_mode)
        publish_interpreter(fake.prefix, made, list_interpreter(made))
    assert path.read_bytes() == content


def _keep_list(fake: FakePrefix, _: Path) -> None:
    wheel = fake.catalog.lock(fake.generation(0), fake.generation(0).environments[0]).wheels[0]
    keep_bytecode_lists(fake.prefix, [(wheel.sha256, BYTECODE_KEY, format_bytecode_list([]))])


def _keep_inventory(fake: FakePrefix, path: Path) -> None:
    staged = temporary_path(fake.prefix.staging)
    made = Inventory(path.name.partition(".")[0], ())
    write_inventory(made, staged)
    keep_inventory(fake.prefix, made, staged)


def _publish_record(fake: FakePrefix, path: Path) -> None:
    with writer_lock(fake.prefix, 0, lambda _: None) as writer:
        staged = temporary_path(fake.prefix.staging)
        staged.write_bytes(b"new")
        publish_record(writer, staged, path)


def _inventory(fake: FakePrefix) -> Path:
    wheel = fake.catalog.lock(fake.generation(0), fake.generation(0).environments[0]).wheels[0]
    return inventory_path(fake.prefix, wheel.sha256)


def _unseal(fake: FakePrefix, _: Path) -> None:
    with writer_lock(fake.prefix, 0, lambda _: None) as writer:
        unseal(writer, "g00000")


def _mark_again(_: FakePrefix, path: Path) -> None:
    mark = read_mark(path)
    assert mark is not None
    write_mark(path, mark)


def _architectures(fake: FakePrefix) -> Path:
    keep_architectures(fake.prefix, "ab" * 32, ["sm_80"])
    return architectures_path(fake.prefix, "ab" * 32)


def _machine(fake: FakePrefix) -> Path:
    claim_machine(fake.prefix)
    return fake.prefix.machine_file


_CASES = {
    "keep_architectures": Case(
        _architectures, lambda fake, _: keep_architectures(fake.prefix, "ab" * 32, ["sm_90"])
    ),
    "claim_machine": Case(_machine, lambda fake, _: claim_machine(fake.prefix)),
    "write_file": Case(_list, lambda _, path: write_file(path, b"new")),
    "write_if_changed": Case(_list, lambda _, path: write_if_changed(path, b"new")),
    "write_environments": Case(
        _list, lambda fake, _: write_environments(fake.prefix, fake.generation(0), sealed=True)
    ),
    "replace_environments": Case(
        _list, lambda fake, _: replace_environments(fake.prefix, fake.generation(0), sealed=True)
    ),
    "write_mark": Case(_mark, _mark_again, damage=False),
    "unseal": Case(_mark, _unseal),
    "set_file": Case(_source, lambda _, path: set_file(path, b"new")),
    "set_link": Case(_source, lambda _, path: set_link(path, "elsewhere")),
    "remove_extra": Case(
        _source, lambda fake, path: remove_extra(fake.tree(0), str(path.relative_to(fake.tree(0))))
    ),
    "put_in_place and take": Case(_source, _take),
    "mend_tree": Case(_source, _mend),
    "adopt": Case(_source, _adopt),
    "replace_damaged": Case(_compiled, _replace_bytecode),
    "publish_interpreter": Case(
        lambda fake: fake.interpreter / f"lib/python{PYTHON}/os.py", _publish_interpreter
    ),
    "keep_bytecode_lists": Case(
        lambda fake: next(fake.prefix.wheels.glob("*.pyc.gz")), _keep_list, damage=False
    ),
    "keep_inventory": Case(_inventory, _keep_inventory, damage=False),
    "publish_record": Case(_inventory, _publish_record),
}


@pytest.mark.parametrize("name", _CASES)
def test_an_operation_writes_to_no_file_that_is_linked_elsewhere(tmp_path: Path, name: str) -> None:
    fake = FakePrefix(tmp_path)
    fake.install(0)
    begin_staging(fake.prefix)
    case = _CASES[name]
    path = case.path(fake)
    if case.damage:
        content = path.read_bytes()
        path.write_bytes(content[:-1] + b"?")
    elsewhere = tmp_path / "elsewhere"
    os.link(path, elsewhere)
    before = elsewhere.read_bytes(), elsewhere.stat().st_ino, elsewhere.stat().st_mtime_ns
    case.run(fake, path)
    assert (elsewhere.read_bytes(), elsewhere.stat().st_ino, elsewhere.stat().st_mtime_ns) == before
    if name != "adopt":
        assert not path.exists() or path.lstat().st_ino != before[1]


def test_a_repaired_file_is_right_again(tmp_path: Path) -> None:
    fake = FakePrefix(tmp_path)
    fake.install(0)
    begin_staging(fake.prefix)
    path = _source(fake)
    path.write_bytes(b"NAME = 'Alpha'\n")
    _take(fake, path)
    found: list[Finding] = []
    verify_tree(fake.prefix, fake.tree(0), Digests(1), found)
    assert found == []
