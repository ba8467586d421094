"""Tests the order of system calls for a power loss: sync the data, give the name, sync the folder."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.system_calls import CHANGES, Call, everything, read_trace, strace_program
from tests.index.server import LocalIndex
from tests.node.node import Node, make_node
from tests.node.small_generation import define_small_generation

_TRACED = f"{CHANGES},open,openat,creat,write,pwrite64,writev,copy_file_range,sendfile,ftruncate,fchmod,chmod"
_NAMING = {"rename", "renameat", "renameat2", "link", "linkat"}
_FILE_SYNCS = {"fsync", "fdatasync"}
_READ_ONLY = re.compile(r"\bO_RDONLY\b")
_MAKES = re.compile(r"\bO_(?:CREAT|TRUNC)\b")
# What has a final name, in the order in which one vouches for the other: a name of a later kind must not
# be on the disk while one of an earlier kind, made before it, is not.
_KINDS = (
    ("bytecode", re.compile(r"pyc/.+")),
    ("inventory", re.compile(r"wheels/.+")),
    ("tree", re.compile(r"monobase/g\d+/python[^/]*|cuda/[^/]+")),
    ("toolkit link", re.compile(r"monobase/g\d+/cu[^/]*")),
    ("environments", re.compile(r"monobase/g\d+/environments")),
    (".done", re.compile(r"monobase/g\d+/\.done")),
    ("latest", re.compile(r"monobase/latest")),
)
_LINKS = {"toolkit link", "latest"}


@dataclass(frozen=True, slots=True)
class Publishing:
    """A rename or a link to a final name.

    Attributes:
        kind: One of `_KINDS`.
        source: The temporary name.
        name: The final name.
        call: The system call.
    """

    kind: str
    source: str
    name: str
    call: Call

    @property
    def rank(self) -> int:
        """Place among the kinds."""
        return [kind for kind, _ in _KINDS].index(self.kind)


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Call]]:
    if strace_program() is None:
        pytest.skip("strace is not installed here; the toolbox of ./bazelw has it")
    directory = tmp_path_factory.mktemp("traced")
    with LocalIndex(directory / "index") as index:
        node = make_node(index, directory)
        define_small_generation(node)
        trace = directory / "trace"
        node.install(before=everything("-y", "-s", "4096", "-e", f"trace={_TRACED}", "-o", str(trace)))
        _check_that_all_is_there(node)
        return node.root, [call for call in read_trace(trace) if not call.failed]


def test_everything_that_has_a_final_name_got_it_in_one_step(traced: tuple[Path, list[Call]]) -> None:
    root, calls = traced
    found = [item.kind for item in publishings(root, calls)]
    counts = {kind: found.count(kind) for kind, _ in _KINDS}
    assert counts.pop("bytecode") >= 4
    assert counts == {
        "inventory": counts["inventory"], "tree": 5, "toolkit link": 2, "environments": 3, ".done": 1,
        "latest": 1,
    }  # fmt: skip
    assert counts["inventory"] >= 5


def test_data_is_on_the_disk_before_it_gets_its_final_name(traced: tuple[Path, list[Call]]) -> None:
    assert unsynced_data(*traced) == []


def test_a_final_name_is_on_the_disk_before_what_vouches_for_it(traced: tuple[Path, list[Call]]) -> None:
    assert unsynced_names(*traced) == []


def test_content_is_on_the_disk_before_it_stands_under_its_digest(traced: tuple[Path, list[Call]]) -> None:
    root, calls = traced
    assert len(contents(root, calls)) >= 10
    assert unsynced_contents(root, calls) == []
    without_data = [call for call in calls if call.name != "syncfs"]
    assert len(unsynced_contents(root, without_data)) == len(contents(root, calls))


def test_one_sync_of_the_file_system_serves_all_environments(traced: tuple[Path, list[Call]]) -> None:
    root, calls = traced
    synced = [call.descriptor_path for call in calls if call.name in _FILE_SYNCS]
    assert not [path for path in synced if path.startswith(f"{root}/monobase/.staging/")]


def test_this_check_notices_an_install_that_does_not_sync(traced: tuple[Path, list[Call]]) -> None:
    root, calls = traced
    without_data = [call for call in calls if call.name != "syncfs"]
    assert {item.split(" ")[0] for item in unsynced_data(root, without_data)} == {
        "bytecode",
        "inventory",
        "tree",
    }
    without_names = [call for call in calls if call.name not in _FILE_SYNCS]
    assert {item.split(" ")[0] for item in unsynced_data(root, without_names)} == {"environments", ".done"}
    assert {item.split(" ")[0] for item in unsynced_names(root, without_names)} >= {".done", "latest", "tree"}


def publishings(root: Path, calls: Sequence[Call]) -> list[Publishing]:
    """Return the renames and links to final names.

    Args:
        root: The prefix.
        calls: The calls of an install, in order.

    Returns:
        They, in order.
    """
    found = []
    for call in calls:
        if call.name not in _NAMING:
            continue
        source, name = call.paths[-2:]
        relative = name.removeprefix(f"{root}/")
        kind = next((kind for kind, pattern in _KINDS if pattern.fullmatch(relative)), None)
        if kind is not None:
            found.append(Publishing(kind, source, relative, call))
    return found


def unsynced_data(root: Path, calls: Sequence[Call]) -> list[str]:
    """Name what got its final name while a change to it might not have been on the disk.

    Symbolic links are left out: they have no data, and the journal keeps their making before their renaming.
    """
    found = []
    for item in publishings(root, calls):
        if item.kind in _LINKS:
            continue
        changes = [call for call in calls if call.began < item.call.began and _changes(call, item.source)]
        assert changes, f"nothing was seen to make {item.source}"
        last = max(call.ended for call in changes)
        if not any(
            last < call.began and call.ended < item.call.began and _syncs(call, root, item.source)
            for call in calls
        ):
            found.append(f"{item.kind} {item.name}")
    return found


def contents(root: Path, calls: Sequence[Call]) -> list[Call]:
    """Find the calls that put a file under its digest, for others to share."""
    store = f"{root}/files/"
    return [call for call in calls if call.name in _NAMING and call.paths[-1].startswith(store)]


def unsynced_contents(root: Path, calls: Sequence[Call]) -> list[str]:
    """Name what stood under its digest while its content might not have been on the disk."""
    found = []
    for item in contents(root, calls):
        source = item.paths[-2]
        made = [call.ended for call in calls if call.began < item.began and _makes(call, source)]
        assert made, f"nothing was seen to make {source}"
        if not any(
            max(made) < call.began and call.ended < item.began and _syncs(call, root, source)
            for call in calls
        ):
            found.append(item.paths[-1])
    return found


def unsynced_names(root: Path, calls: Sequence[Call]) -> list[str]:
    """Name what had its final name in memory alone when what vouches for it got its own, or at the end."""
    found = []
    items = publishings(root, calls)
    for item in items:
        later = [
            other.call.began
            for other in items
            if other.rank > item.rank and other.call.began > item.call.ended
        ]
        end = min(later, default=max(call.ended for call in calls) + 1)
        parent = str(Path(root, item.name).parent)
        if not any(
            item.call.ended < call.began and call.ended < end and _syncs(call, root, parent) for call in calls
        ):
            found.append(f"{item.kind} {item.name}")
    return found


def _changes(call: Call, path: str) -> bool:
    """Return whether a call changes a file, or a folder or its content."""
    if call.name in {"fsync", "fdatasync", "syncfs"}:
        return False
    if (
        call.name in {"open", "openat"}
        and _READ_ONLY.search(call.arguments)
        and not _MAKES.search(call.arguments)
    ):
        return False
    return any(file == path or file.startswith(f"{path}/") for file in call.files)


def _makes(call: Call, path: str) -> bool:
    """Return whether a call changes a file, or renames a folder around it."""
    named = call.name in _NAMING and path.startswith(f"{call.paths[-1]}/")
    return named or _changes(call, path)


def _syncs(call: Call, root: Path, path: str) -> bool:
    if call.name == "syncfs":
        return call.descriptor_path.startswith(str(root))
    return call.name in _FILE_SYNCS and call.descriptor_path == path


def _check_that_all_is_there(node: Node) -> None:
    assert node.is_sealed()
    assert node.differences() == []
