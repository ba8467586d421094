import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.host.known_contents import KnownContents
from daemon.prefix.bytecode_list import bytecode_path
from daemon.prefix.bytecode_store import BytecodeStore, compiled_name
from daemon.prefix.prefix import Prefix

_KEY = "cpython-311-3.11.10"
_SOURCE = "a" * 64


@pytest.fixture
def store(tmp_path: Path) -> BytecodeStore:
    return _fresh(tmp_path)


def _fresh(tmp_path: Path) -> BytecodeStore:
    """A store as another run sees it."""
    return BytecodeStore(Prefix(tmp_path / "prefix"), KnownContents(jobs=2), links=False)


def _publish(store: BytecodeStore, tmp_path: Path, content: bytes = b"bytecode") -> str:
    folder = tmp_path / "compiled"
    folder.mkdir()
    (folder / compiled_name(_KEY, _SOURCE)).write_bytes(content)
    store.publish_all([folder])
    assert not folder.exists()
    return hashlib.sha256(content).hexdigest()


def test_bytecode_is_found_by_its_source_and_named_by_its_own_digest(
    store: BytecodeStore, tmp_path: Path
) -> None:
    assert store.find(_KEY, _SOURCE) is None
    sha256 = _publish(store, tmp_path)
    assert store.find(_KEY, _SOURCE) == sha256
    assert _fresh(tmp_path).find(_KEY, _SOURCE) == sha256
    assert store.check([(_KEY, _SOURCE, sha256)]) == {(_KEY, _SOURCE, sha256)}


def test_bytecode_that_is_not_what_its_name_says_is_dropped_and_its_inode_told(
    store: BytecodeStore, tmp_path: Path
) -> None:
    sha256 = _publish(store, tmp_path)
    path = bytecode_path(store.prefix, _KEY, _SOURCE, sha256)
    path.write_bytes(b"BYTECODE")
    inode = path.stat().st_ino
    later = _fresh(tmp_path)
    assert later.find(_KEY, _SOURCE) == sha256
    assert later.check([(_KEY, _SOURCE, sha256)]) == set()
    assert not path.exists()
    assert [item.identity[1] for item in later.damaged] == [inode]
    assert later.find(_KEY, _SOURCE) is None


def test_bytecode_that_is_gone_is_missing_and_no_damage(store: BytecodeStore, tmp_path: Path) -> None:
    sha256 = _publish(store, tmp_path)
    bytecode_path(store.prefix, _KEY, _SOURCE, sha256).unlink()
    assert store.check([(_KEY, _SOURCE, sha256)]) == set()
    assert store.damaged == []


def test_what_has_no_digest_of_its_own_in_its_name_is_not_trusted(
    store: BytecodeStore, tmp_path: Path
) -> None:
    folder = store.prefix.bytecode / _KEY / "aa"
    folder.mkdir(parents=True)
    (folder / f"{_SOURCE}.pyc").write_bytes(b"of an earlier release")
    assert _fresh(tmp_path).find(_KEY, _SOURCE) is None


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("harm", [_pipe, _link, _folder, lambda path: path.chmod(0o777)])
def test_what_is_no_file_of_the_right_mode_is_dropped_and_made_anew(
    store: BytecodeStore, tmp_path: Path, harm: Callable[[Path], object]
) -> None:
    sha256 = _publish(store, tmp_path)
    harm(bytecode_path(store.prefix, _KEY, _SOURCE, sha256))
    again = _fresh(tmp_path)
    assert again.check([(_KEY, _SOURCE, sha256)]) == set()
    assert _publish(again, tmp_path) == sha256
    assert _fresh(tmp_path).check([(_KEY, _SOURCE, sha256)]) == {(_KEY, _SOURCE, sha256)}


def test_bytecode_is_linked_and_where_links_are_off_copied(tmp_path: Path, store: BytecodeStore) -> None:
    sha256 = _publish(store, tmp_path)
    shared = bytecode_path(store.prefix, _KEY, _SOURCE, sha256)
    store.link(_KEY, _SOURCE, sha256, str(tmp_path / "copy"))
    assert not (tmp_path / "copy").samefile(shared)
    linking = BytecodeStore(store.prefix, KnownContents(1))
    linking.link(_KEY, _SOURCE, sha256, str(tmp_path / "link"))
    assert (tmp_path / "link").samefile(shared)
    linking.link(_KEY, _SOURCE, sha256, str(tmp_path / "link"))  # two packages may bring one source
    (tmp_path / "other").write_bytes(b"something else")
    with pytest.raises(FileExistsError):
        linking.link(_KEY, _SOURCE, sha256, str(tmp_path / "other"))
    with pytest.raises(FileNotFoundError):
        linking.link(_KEY, _SOURCE, "0" * 64, str(tmp_path / "none"))


def test_an_inode_without_links_to_give_is_renewed_once_for_all(
    tmp_path: Path, store: BytecodeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = _publish(store, tmp_path)
    shared = bytecode_path(store.prefix, _KEY, _SOURCE, sha256)
    store.prefix.staging.mkdir(parents=True)
    full, real = shared.stat().st_ino, os.link

    def link(source: str | Path, target: str | Path) -> None:
        if os.stat(source).st_ino == full:  # noqa: PTH116 (as os.link has it)
            raise OSError(errno.EMLINK, os.strerror(errno.EMLINK), str(source))
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    linking = BytecodeStore(store.prefix, KnownContents(1))
    for name in ("a", "b"):
        linking.link(_KEY, _SOURCE, sha256, str(tmp_path / name))
    assert (tmp_path / "a").samefile(tmp_path / "b")
    assert (tmp_path / "a").samefile(shared)
    assert shared.stat().st_ino != full


def test_bytecode_is_published_by_a_link_beside_what_is_there(tmp_path: Path) -> None:
    store = BytecodeStore(Prefix(tmp_path / "prefix"), KnownContents(1))
    sha256 = _publish(store, tmp_path)
    assert _publish(store, tmp_path) == sha256
    assert bytecode_path(store.prefix, _KEY, _SOURCE, sha256).read_bytes() == b"bytecode"
