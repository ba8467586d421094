"""The laws of what is freed: said before, it is what removing frees, whatever links there are."""

import os
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from daemon.host.removal import LinkCount, remove
from tests.laws import examples

_FOLDERS = ("one", "two", "two/deep", "kept")
# A file: its size, the folders of its names, and whether a symbolic link stands beside the last of them.
_FILES = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 5_000, 20_000]),
        st.lists(st.sampled_from(_FOLDERS), min_size=1, max_size=4),
        st.booleans(),
    ),
    max_size=8,
)


def _make(root: Path, files: list[tuple[int, list[str], bool]]) -> None:
    for folder in _FOLDERS:
        (root / folder).mkdir(exist_ok=True)
    for number, (size, folders, linked) in enumerate(files):
        first = root / folders[0] / f"{number}.0"
        first.write_bytes(bytes([number]) * size)
        for name, folder in enumerate(folders[1:], 1):
            os.link(first, root / folder / f"{number}.{name}")
        if linked:
            (root / folders[-1] / f"{number}.link").symlink_to("/etc/passwd")


def _freed_by(roots: list[Path]) -> tuple[int, int]:
    """Count by another way than the one that is tried: all names of each inode, and those below the roots."""
    names: Counter[tuple[int, int]] = Counter()
    statuses = {}
    for root in roots:
        for path in (root, *root.rglob("*")):
            status = path.lstat()
            is_folder = path.is_dir() and not path.is_symlink()
            names[status.st_ino, status.st_nlink if not is_folder else 1] += 1
            statuses[status.st_ino] = status
    gone = [inode for (inode, links), count in names.items() if count == links]
    return sum(statuses[inode].st_blocks * 512 for inode in gone), len(gone)


@examples(40)
@given(_FILES, st.lists(st.sampled_from(["one", "two"]), min_size=1, unique=True))
def test_what_is_said_to_be_freed_is_what_removing_frees(
    files: list[tuple[int, list[str], bool]], removed: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        _make(root, files)
        kept = {str(path): path.lstat().st_ino for path in (root / "kept").rglob("*")}
        roots = [root / name for name in removed]
        expected = _freed_by(roots)
        said = LinkCount()
        for path in roots:
            said.take_tree(str(path))
        assert (said.freed_bytes, said.freed_inodes) == expected
        freed = remove(str(path) for path in roots)
        assert (freed.freed_bytes, freed.freed_inodes) == expected
        assert not any(path.exists() for path in roots)
        assert {str(path): path.lstat().st_ino for path in (root / "kept").rglob("*")} == kept


@examples(40)
@given(_FILES)
def test_links_left_is_what_lstat_will_say(files: list[tuple[int, list[str], bool]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        _make(root, files)
        said = LinkCount()
        said.take_tree(str(root / "one"))
        left = {path: said.links_left(path.lstat()) for path in (root / "two").rglob("*") if path.is_file()}
        remove([str(root / "one")])
        assert left == {path: path.lstat().st_nlink for path in left}
