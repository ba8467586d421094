"""Stores that are not of one piece are refused."""

import os
from pathlib import Path

import pytest

from daemon.errors import DiskError
from daemon.prefix.prefix import Prefix
from daemon.prefix.store_mounts import check_links, check_stores


def test_folders_of_one_mount_can_be_linked(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "staging").mkdir()
    check_links(tmp_path / "cache", tmp_path / "staging")
    assert not list(tmp_path.rglob(".link*"))


def test_a_file_system_that_refuses_links_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(DiskError, match=r"has no hard links.*--copy"):
        check_links(tmp_path, tmp_path)


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("name", ["uv/python", "cuda", "pyc", "files", "wheels", "monobase"])
def test_a_store_that_is_a_link_is_refused_by_its_name(tmp_path: Path, name: str, copy: bool) -> None:
    prefix = Prefix(tmp_path / "prefix")
    prefix.make_directories()
    (tmp_path / "elsewhere").mkdir()
    store = prefix.root / name
    store.rmdir()
    store.symlink_to(tmp_path / "elsewhere")
    prefix.staging.mkdir()
    with pytest.raises(DiskError, match=f"{name}: is a link to "):
        check_stores(prefix, copy=copy)
