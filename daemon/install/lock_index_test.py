"""The index of our own: what it answers, to whom, and where uv keeps what it finds by it."""

import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from daemon.install.lock_index import CacheFolders, Listing, LockIndex
from daemon.prefix.prefix import Prefix
from daemon.uv.program import Uv, find_uv
from gens.lock import LockedWheel

_WHEEL = LockedWheel("alpha", "1.0+cu124", "ab" * 32, "alpha-1.0+cu124-py3-none-any.whl", 10)


def _get(index: LockIndex, url: str, password: str | None = None) -> int:
    proxy = index.variables["HTTP_PROXY"]
    if password is not None:
        proxy = f"http://monobase:{password}@{proxy.rpartition('@')[2]}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy}))
    try:
        with opener.open(url, timeout=30) as answer:
            assert b"alpha-1.0+cu124" in answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_it_lists_what_it_was_given_to_who_knows_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "")
    with LockIndex([Listing("", (_WHEEL,)), Listing("other", ())]) as index:
        assert _get(index, "http://monobase.invalid/simple/alpha/") == 200
        assert _get(index, "http://monobase.invalid/other/simple/alpha/") == 404
        assert _get(index, "http://monobase.invalid/simple/beta/") == 404
        assert _get(index, "http://elsewhere.invalid/simple/alpha/") == 404
        assert _get(index, "http://monobase.invalid/simple/alpha/", "guessed") == 407
        assert index.asked_for == set()
        assert _get(index, f"http://monobase.invalid/wheels/x/{_WHEEL.filename}") == 404
        assert index.asked_for == {_WHEEL.filename}
        assert "password" not in index.configuration


def test_uv_tells_where_it_keeps_the_wheels_of_each(tmp_path: Path) -> None:
    places = []
    for name in ("one", "two"):
        prefix = Prefix(tmp_path / name)
        prefix.make_directories()
        prefix.staging.mkdir()
        CacheFolders._learnt.clear()  # as in another process
        folders = CacheFolders(Uv(find_uv(None), prefix), Path(sys.executable))
        places.append((folders.find(), folders.find("0123")))
        assert list(prefix.staging.iterdir()) == []
        assert list(prefix.uv_cache.iterdir()) == []
    assert places[0] == places[1]
    assert places[0][0] != places[0][1]
