"""The folders in uv's cache where uv keeps the wheels of Monobase's index."""

import sys
from pathlib import Path

from daemon.install.cache_folders import CacheFolders
from daemon.prefix.prefix import Prefix
from daemon.uv.program import Uv, find_uv


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
