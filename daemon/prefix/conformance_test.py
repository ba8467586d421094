"""Every operation of the store in every state of a generation: what it answers, and that no invariant breaks.

The subject is g00000: an environment of its own, and a toolkit that it shares with g00001, which is sealed.
Numbers in brackets are those of the invariants in DESIGN.md.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.errors import PrefixInUseError
from daemon.host.known_contents import KnownContents
from daemon.host.removal import LinkCount
from daemon.prefix.environments_file import listed_targets, read_targets, write_environments
from daemon.prefix.finding import Finding
from daemon.prefix.generation import (
    is_present,
    is_sealed,
    list_generation,
    mark_of,
    newer_format,
    published_names,
)
from daemon.prefix.latest import latest_name, point_latest
from daemon.prefix.lease import is_leased
from daemon.prefix.mark import read_mark
from daemon.prefix.mark_check import check_mark
from daemon.prefix.prefix import Prefix
from daemon.prefix.publication import CompleteTree, open_mark, publish, replace_tree, seal, unseal, write_list
from daemon.prefix.retirement import (
    RetiredEnvironment,
    empty_uv_cache,
    remove_evicted,
    remove_retired,
    remove_tree,
    remove_unused,
    retire,
    retire_environment,
)
from daemon.prefix.staging import begin_staging, end_staging, remove_leftovers
from daemon.prefix.standing_tree import check_tree
from daemon.prefix.toolkit_tree import is_used, toolkit_directory_name, toolkit_names
from daemon.prefix.tree_check import Digests, verify_tree
from daemon.prefix.unused import read_used, unused_contents, unused_records, unused_trees
from daemon.prefix.usage import read_usage
from daemon.prefix.writer_lock import WriterLock, writer_lock
from gens.errors import MonobaseError
from gens.generation import Generation
from gens.selection import Selection
from tests.fake_prefix.fake_prefix import BYTECODE_KEY, FakePrefix
from tests.synthetic.catalog import environment_cell

_NAME, _OTHER = "g00000", "g00001"
_TOOLKIT = "cudnn-9.1.0.70-cuda12"


@dataclass(frozen=True, slots=True)
class World:
    """A prefix whose g00000 is in one state.

    Attributes:
        fake: What made it.
        writer: The right to write to it.
        beta: Digest of the wheel that only g00000 holds.
    """

    fake: FakePrefix
    writer: WriterLock
    beta: str

    @property
    def prefix(self) -> Prefix:
        return self.fake.prefix

    @property
    def subject(self) -> Generation:
        return self.fake.generation(0)

    @property
    def part(self) -> Selection:
        return Selection((self.fake.toolkit,))

    @property
    def environment(self) -> Path:
        return self.prefix.generation(_NAME) / self.fake.environment


# --- the states ---


def _published(world: World) -> None:
    world.fake.publish(0)


def _sealed(world: World) -> None:
    world.fake.publish(0)
    world.fake.seal(0)


def _part(world: World) -> None:
    """Seal the toolkit; the environment is published, as of an install that was not completed."""
    world.fake.publish(0)
    world.fake.seal(0, world.part)


def _open(world: World) -> None:
    _part(world)
    open_mark(world.writer, _NAME)


def _latest(world: World) -> None:
    _sealed(world)
    world.fake.point_latest(0)


def _staged(world: World) -> None:
    world.fake.stage(0, world.fake.environment)


def _damaged(world: World) -> None:
    _sealed(world)
    path = next(world.environment.rglob("beta.py"))
    content = path.read_bytes()
    path.unlink()  # this name alone: the inode belongs to the wheel as well
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    path.chmod(0o644)


def _damaged_mark(world: World) -> None:
    _sealed(world)
    world.prefix.sealed_mark(_NAME).write_bytes(b'{"format": 1')


def _retired(world: World) -> None:
    _sealed(world)
    world.fake.retire(0)


def _half_removed(world: World) -> None:
    _sealed(world)
    away = world.fake.retire(0)
    shutil.rmtree(away / world.fake.environment / "lib")


def _newer(world: World) -> None:
    _sealed(world)
    world.fake.make_newer(0)


def _newer_tree(world: World) -> None:
    _sealed(world)
    world.fake.make_tree_newer(world.environment)


_STATES: dict[str, Callable[[World], None]] = {
    "absent": lambda _: None,
    "staged": _staged,
    "published": _published,
    "part": _part,
    "open part": _open,
    "sealed": _sealed,
    "leased": _sealed,
    "latest": _latest,
    "damaged": _damaged,
    "mark damaged": _damaged_mark,
    "retired": _retired,
    "half removed": _half_removed,
    "newer": _newer,
    "newer tree": _newer_tree,
}
_WITHOUT_FOLDER = ("absent", "staged", "retired", "half removed")


@pytest.fixture(params=_STATES)
def state(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def world(tmp_path: Path, state: str) -> Iterator[World]:
    fake = FakePrefix(tmp_path)
    alpha = fake.wheel("alpha")
    beta = fake.wheel("beta")
    cudnn = fake.cudnn_cell()
    fake.install(1, environment_cell([alpha]), cudnn)
    fake.define(0, environment_cell([alpha, beta]), cudnn)
    with ExitStack() as stack:
        writer = stack.enter_context(writer_lock(fake.prefix, 0, lambda _: None))
        made = World(fake, writer, beta.sha256)
        _STATES[state](made)
        if state == "leased":
            stack.enter_context(fake.lease(0))
        yield made


# --- the operations ---


def _verify(world: World) -> set[str]:
    found: list[Finding] = []
    verify_tree(world.prefix, world.environment, Digests(1), found)
    return {finding.kind for finding in found}


def _check_mark(world: World) -> set[str]:
    found: list[Finding] = []
    check_mark(world.prefix, _NAME, found)
    return {finding.kind for finding in found}


def _unused(world: World) -> set[str]:
    """Return what g00000 has unused when all that is installed remains, and what the locks of g00001 name."""
    other = world.fake.generation(1)
    locked = {
        wheel.sha256 for target in other.targets for wheel in world.fake.catalog.lock(other, target).wheels
    }
    used = read_used(world.prefix, world.prefix.installed_generations(), locked, ())
    names = [*unused_trees(world.prefix, used), *unused_records(world.prefix, used)]
    names += unused_contents(world.prefix, LinkCount())
    told = {f"{world.beta}.files.gz": "inventory", f"{world.beta}.{BYTECODE_KEY}.pyc.gz": "list"}
    return {told.get(item.name, item.kind if item.kind != "record" else "store") for item in names}


def _publish(world: World) -> bool:
    staged = world.fake.stage(0, world.fake.environment)
    publish(world.writer, world.subject, [CompleteTree(world.fake.environment, staged, world.environment)])
    return is_present(world.prefix, world.subject, world.subject.target(world.fake.environment))


def _retire(world: World) -> bool:
    if not world.prefix.staging.exists():
        begin_staging(world.prefix)
    retired = retire(world.writer, _NAME)
    if retired:
        remove_retired(world.writer, _NAME)
        assert not (world.prefix.staging / _NAME).exists()
    assert retired != world.prefix.generation(_NAME).exists()
    return retired


def _evict(world: World) -> bool:
    if not world.prefix.staging.exists():
        begin_staging(world.prefix)
    away = retire_environment(world.writer, _NAME, world.fake.environment)
    if away is not None:
        mark = read_mark(world.prefix.sealed_mark(_NAME))
        assert mark is None or (mark.is_open and list(mark.manifests) == [world.fake.toolkit])
        remove_evicted(world.writer, away)
        assert not away.tree.exists()
        assert not world.environment.exists()
        offered = {item.name: item.ready for item in read_targets(world.prefix, _NAME)}
        assert offered == {world.fake.environment: False, world.fake.toolkit: True}
    return away is not None


def _remove_leftovers(world: World) -> bool:
    said: list[str] = []
    remove_leftovers(world.prefix, said.append)
    assert not world.prefix.staging.exists()
    return said != []


def _begin_and_end(world: World) -> bool:
    begin_staging(world.prefix)
    end_staging(world.prefix)
    return not world.prefix.staging.exists()


def _empty_cache(world: World) -> set[str]:
    remove_leftovers(world.prefix, lambda _: None)
    assert empty_uv_cache(world.writer) > 0
    return _verify(world)


def _rewrite_list(world: World) -> list[str]:
    if not world.prefix.generation(_NAME).exists():
        return []
    write_environments(world.prefix, world.subject, sealed=False)
    return sorted(listed_targets(world.prefix, _NAME))


def _open_mark(world: World) -> bool:
    open_mark(world.writer, _NAME)
    mark = read_mark(world.prefix.sealed_mark(_NAME))
    return mark is not None and mark.is_open


def _seal_part(world: World) -> bool:
    is_done = seal(world.writer, world.subject, world.part)
    assert is_sealed(world.prefix, world.subject, [world.fake.toolkit]) == is_done
    return is_done


def _write_list(world: World) -> list[str]:
    if not world.prefix.generation(_NAME).exists():
        return []
    write_list(world.writer, world.subject, world.part)
    return sorted(listed_targets(world.prefix, _NAME))


_BOTH = ["cudnn9-cuda12", FakePrefix.environment]
_OPERATIONS: dict[str, Callable[[World], object]] = {
    "installed": lambda world: _NAME in world.prefix.installed_generations(),
    "present": lambda world: is_present(
        world.prefix, world.subject, world.subject.target(world.fake.environment)
    ),
    "is sealed": lambda world: is_sealed(world.prefix, world.subject),
    "is marked": lambda world: mark_of(world.prefix, _NAME) is not None,
    "list": lambda world: [entry.name for entry in list_generation(world.prefix, _NAME)],
    "published": lambda world: sorted(published_names(world.prefix, _NAME)),
    "offers": lambda world: sorted(item.name for item in read_targets(world.prefix, _NAME) if item.ready),
    "rewrite list": _rewrite_list,
    "newer format": lambda world: newer_format(world.prefix, _NAME) != "",
    "check mark": _check_mark,
    "verify": _verify,
    "check tree": lambda world: check_tree(world.prefix, world.environment, "it", KnownContents(1)),
    "latest": lambda world: latest_name(world.prefix),
    "leased": lambda world: is_leased(world.prefix.generation(_NAME)),
    "toolkit": lambda world: toolkit_directory_name(
        world.prefix,
        world.subject.toolkits[0],
        world.fake.catalog.lock(world.subject, world.subject.toolkits[0]),
    ),
    "toolkit used": lambda world: (toolkit_names(world.prefix), is_used(world.prefix, _TOOLKIT)),
    "usage": lambda world: read_usage(world.prefix).disk_bytes["environments"] > _of_one(world),
    "unused": _unused,
    "publish": _publish,
    "seal": lambda world: seal(world.writer, world.subject),
    "seal a part": _seal_part,
    "open mark": _open_mark,
    "write list": _write_list,
    "point latest": lambda world: point_latest(world.writer, [world.subject]),
    "retire": _retire,
    "evict": _evict,
    "remove leftovers": _remove_leftovers,
    "begin staging": _begin_and_end,
    "empty cache": _empty_cache,
}


def _of_one(world: World) -> int:
    """Count what g00001's environment takes, whose files g00000 shares."""
    paths = [world.prefix.generation(_OTHER) / world.fake.environment]
    paths += paths[0].rglob("*")
    return sum({path.lstat().st_ino: path.lstat().st_blocks * 512 for path in paths}.values())


def _each(default: object, **others: object) -> dict[str, object]:
    """Return the expected answer in each state, by its name with `_` for a blank."""
    found = dict.fromkeys(_STATES, default)
    for name, answer in others.items():
        assert name.replace("_", " ") in found
        found[name.replace("_", " ")] = answer
    return found


def _where_it_is(there: object, elsewhere: object, **others: object) -> dict[str, object]:
    """Return one answer where g00000 has a folder, and another where it has none."""
    missing = {name.replace(" ", "_"): elsewhere for name in _WITHOUT_FOLDER}
    return _each(there, **{**missing, **others})


_DAMAGE, _NEWER, _NONE, _CLASH = "DamageError", "NewerFormatError", "FileNotFoundError", "OSError"
_GONE: set[str] = {"inventory", "list", "store"}
_EXPECTED: dict[str, dict[str, object]] = {
    "installed": _where_it_is(True, False),
    "present": _where_it_is(True, False),
    "is sealed": _where_it_is(
        True, False, published=False, part=False, open_part=False, mark_damaged=_DAMAGE, newer=_NEWER
    ),
    "is marked": _where_it_is(True, False, published=False, mark_damaged=_DAMAGE, newer=_NEWER),
    "list": _where_it_is(_BOTH, _NONE),
    "published": _where_it_is(_BOTH, []),
    "offers": _where_it_is(_BOTH, []),
    "rewrite list": _where_it_is(_BOTH, []),
    "newer format": _each(False, newer=True, newer_tree=True),
    "check mark": _each(set(), mark_damaged={"unreadable"}, newer={"newer"}, newer_tree={"newer"}),
    "verify": _where_it_is(set(), {"unreadable"}, damaged={"changed"}, newer_tree={"newer"}),
    "check tree": _where_it_is(None, _DAMAGE, damaged=_DAMAGE, newer_tree=_DAMAGE),
    "latest": _each(_OTHER, latest=_NAME),
    "leased": _where_it_is(False, _NONE, leased=True),
    "toolkit": _each((_TOOLKIT, True)),
    "toolkit used": _each(([_TOOLKIT], True)),
    "usage": _where_it_is(True, False),
    "unused": _where_it_is(set(), _GONE, absent={"inventory"}, newer_tree=_NEWER),
    "publish": _where_it_is(_CLASH, True),
    "seal": _where_it_is(True, False, mark_damaged=_DAMAGE, newer=_NEWER),
    "seal a part": _where_it_is(True, False, mark_damaged=_DAMAGE, newer=_NEWER),
    "open mark": _where_it_is(True, False, published=False, mark_damaged=_DAMAGE, newer=_NEWER),
    "write list": _where_it_is(_BOTH, [], mark_damaged=_DAMAGE, newer=_NEWER),
    "point latest": _where_it_is(_NAME, None, published=None, mark_damaged=_DAMAGE, newer=_NEWER),
    "retire": _where_it_is(True, _NONE, leased=False, latest="ValueError"),
    "evict": _where_it_is(True, _NONE, leased=False, newer=_NEWER),
    "remove leftovers": _each(False, staged=True, retired=True, half_removed=True),
    "begin staging": _each(
        True, staged="FileExistsError", retired="FileExistsError", half_removed="FileExistsError"
    ),
    "empty cache": _where_it_is(set(), {"unreadable"}, damaged={"changed"}, newer_tree={"newer"}),
}


def _answer(operation: str, world: World) -> object:
    try:
        return _OPERATIONS[operation](world)
    except PrefixInUseError:
        raise
    except Exception as error:
        return type(error).__name__


def _answer_is(operation: str, state: str, name: str) -> bool:
    return operation == "point latest" and _EXPECTED[operation][state] == name


def _may_change(world: World, operation: str, names: Iterable[str]) -> set[str]:
    """Return what an operation may change of a sealed generation; an eviction opens the mark first."""
    listed, mark = str(world.prefix.environments_file(_NAME)), str(world.prefix.sealed_mark(_NAME))
    if operation == "rewrite list":
        return {listed}
    if operation == "open mark":
        return {mark}
    if operation in {"seal", "seal a part", "write list"} and not _is_whole(world):
        return {listed, mark}
    if operation == "evict":
        tree = f"{world.environment}/"
        return {
            listed,
            mark,
            *(name for name in names if name.startswith(tree)),
        }
    return set()


def _sealed_names(world: World) -> set[str]:
    try:
        mark = read_mark(world.prefix.sealed_mark(_NAME))
    except MonobaseError:
        return set()
    return set() if mark is None else set(mark.manifests)


def _is_whole(world: World) -> bool:
    try:
        return is_sealed(world.prefix, world.subject)
    except MonobaseError:
        return True


def _snapshot(directory: Path) -> dict[str, tuple[int, int, int, int]]:
    return {
        str(path): ((status := path.lstat()).st_ino, status.st_mtime_ns, status.st_size, status.st_mode)
        for path in sorted(directory.rglob("*"))
        if not path.is_dir() or path.is_symlink()
    }


def test_each_operation_has_an_expected_answer_in_each_state() -> None:
    assert _EXPECTED.keys() == _OPERATIONS.keys()
    assert all(of_one.keys() == _STATES.keys() for of_one in _EXPECTED.values())


@pytest.mark.parametrize("operation", _OPERATIONS)
def test_an_operation_answers_what_its_state_says_and_breaks_no_invariant(
    world: World, state: str, operation: str
) -> None:
    prefix = world.prefix
    others = _snapshot(prefix.generation(_OTHER)) | _snapshot(prefix.toolkits)
    sealed = prefix.sealed_mark(_NAME).exists()
    own = _snapshot(prefix.generation(_NAME))
    names = _sealed_names(world)
    allowed = _may_change(world, operation, own)
    assert _answer(operation, world) == _EXPECTED[operation][state]
    # What is sealed is complete and never written again [1], and of another generation nothing is [8].
    assert _snapshot(prefix.generation(_OTHER)) | _snapshot(prefix.toolkits) == others
    if sealed and prefix.generation(_NAME).exists():
        now = _snapshot(prefix.generation(_NAME))
        assert {path: now.get(path) for path in own.keys() - allowed} == {
            path: own[path] for path in own.keys() - allowed
        }
    if operation not in {"retire", "evict"}:
        assert _sealed_names(world) >= names
    # What has a final name is complete [2]; what a model leases stays [13], and so does `latest` [8].
    if state not in {"damaged", "newer tree"} and is_present(
        prefix, world.subject, world.subject.target(world.fake.environment)
    ):
        assert _verify(world) == set()
    if state in {"leased", "latest"}:
        assert prefix.generation(_NAME).is_dir()
    pointed = state == "latest" or _answer_is(operation, state, _NAME)
    assert latest_name(prefix) == (_NAME if pointed else _OTHER)


_WRITES: dict[str, Callable[[World], object]] = {
    "publish": _publish,
    "seal": _OPERATIONS["seal"],
    "open mark": _OPERATIONS["open mark"],
    "unseal": lambda world: unseal(world.writer, _NAME),
    "point latest": _OPERATIONS["point latest"],
    "retire": _retire,
    "evict": lambda world: retire_environment(world.writer, _NAME, world.fake.environment),
    "remove evicted": lambda world: remove_evicted(
        world.writer, RetiredEnvironment(_NAME, world.environment)
    ),
    "remove retired": lambda world: remove_retired(world.writer, _NAME),
    "remove unused": lambda world: remove_unused(world.writer, str(world.environment)),
    "remove tree": lambda world: remove_tree(world.writer, world.environment),
    "replace tree": lambda world: replace_tree(world.writer, world.environment, world.environment),
    "empty cache": lambda world: empty_uv_cache(world.writer),
}
_STATE_OF_WRITE = {"publish": "staged", "seal": "published", "remove retired": "retired"}


@pytest.mark.parametrize(
    ("operation", "state"), [(name, _STATE_OF_WRITE.get(name, "sealed")) for name in _WRITES]
)
def test_a_writer_that_has_lost_its_lock_gives_and_takes_no_name(world: World, operation: str) -> None:
    """One writer for a prefix [4]."""
    if operation == "publish":  # its toolkit's link and its folder are there before
        world.prefix.generation(_NAME).mkdir()
    before = {path for path in _snapshot(world.prefix.root) if "/.staging" not in path}
    world.prefix.lock_file.unlink()
    before.discard(str(world.prefix.lock_file))
    with pytest.raises(PrefixInUseError):
        _WRITES[operation](world)
    after = {path for path in _snapshot(world.prefix.root) if "/.staging" not in path}
    assert after - {str(world.prefix.environments_file(_NAME))} == before - {
        str(world.prefix.environments_file(_NAME))
    }
