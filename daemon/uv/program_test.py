from pathlib import Path

import pytest

from daemon.uv.program import find_uv
from gens.errors import MonobaseError


def test_a_uv_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MonobaseError, match="is not an executable file; name uv's binary with --uv"):
        find_uv(tmp_path / "uv")
