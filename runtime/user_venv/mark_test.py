from pathlib import Path

import pytest

from runtime.sample_prefix import SITE_PACKAGES
from runtime.user_venv.mark import is_prepared
from runtime.user_venv.preparation import prepare
from runtime.user_venv.sample_venv import assert_whole

pytest_plugins = ["runtime.fixtures"]


@pytest.mark.parametrize("name", ["monobase.pth", "_monobase_base.py"])
def test_what_python_reads_at_its_start_is_watched_too(base: Path, venv: Path, name: str) -> None:
    prepare(venv, base)
    (venv / SITE_PACKAGES / name).unlink()

    assert not is_prepared(venv, base)
    prepare(venv, base)
    assert_whole(venv, base)
