import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.host.file_content import file_sha256, same_content
from daemon.prefix.content_store import ContentStore

_EXT_LINKS = 65_000


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    for name in ("files", "staging", "tree"):
        (tmp_path / name).mkdir()
    return ContentStore(tmp_path / "files", tmp_path / "staging")


def _file(tmp_path: Path, name: str, content: bytes, mode: int = 0o644) -> str:
    path = tmp_path / "tree" / name
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


def _adopt(store: ContentStore, path: str) -> str:
    return store.adopt(path, file_sha256(path), os.lstat(path))


def test_equal_files_become_one_inode(store: ContentStore, tmp_path: Path) -> None:
    first, second = _file(tmp_path, "a", b"same"), _file(tmp_path, "b", b"same")
    assert _adopt(store, first) == "first"
    assert _adopt(store, second) == "linked"
    assert _adopt(store, second) == "same"
    assert Path(first).samefile(second)


def test_files_of_another_mode_keep_their_inode(store: ContentStore, tmp_path: Path) -> None:
    first, second = _file(tmp_path, "a", b"same"), _file(tmp_path, "b", b"same", 0o755)
    third = _file(tmp_path, "c", b"same", 0o600)
    assert (_adopt(store, first), _adopt(store, second), _adopt(store, third)) == ("first", "first", "alone")
    assert not Path(first).samefile(second)


def test_empty_files_are_left_alone(store: ContentStore, tmp_path: Path) -> None:
    assert _adopt(store, _file(tmp_path, "a", b"")) == "alone"


def test_a_damaged_entry_gives_way_to_the_sound_file(store: ContentStore, tmp_path: Path) -> None:
    first, second = _file(tmp_path, "a", b"sound"), _file(tmp_path, "b", b"sound")
    _adopt(store, first)
    Path(first).write_bytes(b"wrong")  # in place: the entry is damaged with it
    assert _adopt(store, second) == "renewed"
    assert store.path(file_sha256(second), executable=False).samefile(second)
    assert Path(second).read_bytes() == b"sound"


def test_a_file_that_is_not_what_its_digest_says_is_never_shared(store: ContentStore, tmp_path: Path) -> None:
    first, second = _file(tmp_path, "a", b"sound"), _file(tmp_path, "b", b"other")
    _adopt(store, first)
    with pytest.raises(ValueError, match="does not have the digest"):
        store.adopt(second, file_sha256(first), os.lstat(second))
    assert Path(second).read_bytes() == b"other"


def test_an_inode_without_a_link_to_give_is_succeeded_by_another(store: ContentStore, tmp_path: Path) -> None:
    first = _file(tmp_path, "a", b"popular")
    _adopt(store, first)
    many = tmp_path / "many"
    many.mkdir()
    try:
        for number in range(_EXT_LINKS):
            os.link(first, many / str(number))
    except OSError:
        pass  # as many as the file system gives
    else:
        pytest.skip("this file system gives more links than ext4")
    second, third = _file(tmp_path, "b", b"popular"), _file(tmp_path, "c", b"popular")
    assert _adopt(store, second) == "renewed"
    assert _adopt(store, third) == "linked"
    assert Path(second).samefile(third)
    assert not Path(second).samefile(first)
    assert not list((tmp_path / "staging").iterdir())


def test_nothing_is_shared_where_there_are_no_links(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    path = _file(tmp_path, "a", b"content")
    assert _adopt(ContentStore(tmp_path / "files", tmp_path, enabled=False), path) == "alone"
    assert not (tmp_path / "files").exists()


def test_contents_of_different_length_are_not_the_same(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    assert not same_content(_file(tmp_path, "a", b"xx"), _file(tmp_path, "b", b"x"))
    assert same_content(_file(tmp_path, "a", b"x" * 3_000_000), _file(tmp_path, "b", b"x" * 3_000_000))


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nowhere")])
def test_what_is_no_file_gives_way_to_one_and_is_not_waited_for(
    store: ContentStore, tmp_path: Path, make: Callable[[Path], object]
) -> None:
    first, second = _file(tmp_path, "a", b"same"), _file(tmp_path, "b", b"same")
    entry = store.path(file_sha256(first), executable=False)
    entry.parent.mkdir()
    make(entry)
    assert (_adopt(store, first), _adopt(store, second)) == ("renewed", "linked")
    assert entry.samefile(first)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_an_entry_of_another_owner_gives_way_to_the_new_file(store: ContentStore, tmp_path: Path) -> None:
    first, second = _file(tmp_path, "a", b"same"), _file(tmp_path, "b", b"same")
    assert _adopt(store, first) == "first"
    os.chown(first, 65534, -1)
    assert _adopt(store, second) == "renewed"
    assert Path(second).stat().st_uid == 0


def _refuse_links(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """Refuse further links to one file, as ext4 does after 65,000."""
    real = os.link

    def link(found: str | Path, target: str | Path) -> None:
        if Path(found).samefile(source):
            raise OSError(errno.EMLINK, os.strerror(errno.EMLINK), str(found))
        real(found, target)

    monkeypatch.setattr(os, "link", link)


def test_a_file_is_placed_as_a_link_and_where_it_has_none_to_give_as_a_shared_copy(
    store: ContentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _file(tmp_path, "a", b"same")
    first, second, third = (str(tmp_path / "tree" / name) for name in ("b", "c", "d"))
    store.place(source, first, file_sha256(source))
    assert Path(first).samefile(source)
    with pytest.raises(FileExistsError):
        store.place(source, first, file_sha256(source))
    _refuse_links(monkeypatch, source)
    store.place(source, second, file_sha256(source))
    store.place(source, third, file_sha256(source))
    assert not Path(second).samefile(source)
    assert Path(second).samefile(third)
    assert same_content(second, source)


def test_a_first_file_that_has_no_link_to_give_is_copied_to_its_digest(
    store: ContentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _file(tmp_path, "a", b"same")
    _refuse_links(monkeypatch, source)
    assert _adopt(store, source) == "renewed"
    entry = store.path(file_sha256(source), False)
    assert same_content(entry, source)
    assert not entry.samefile(source)


def test_without_links_a_file_is_placed_as_a_copy(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    store = ContentStore(tmp_path / "files", tmp_path / "staging", enabled=False)
    source = _file(tmp_path, "a", b"same")
    store.place(source, str(tmp_path / "b"), file_sha256(source))
    assert not (tmp_path / "b").samefile(source)
    assert not (tmp_path / "files").exists()
