"""Wheels of requirements that are on no index: nothing is written outside of the folder for them."""

from pathlib import Path

import pytest

from tools.layer.build import Builder
from tools.layer.errors import BuildError
from tools.layer.request import Source
from tools.locking.uv_program import Resolver

BEYOND = "../../beyond-1.0-py3-none-any.whl"


def _builder(folder: Path) -> Builder:
    (folder / "work").mkdir()
    resolver = Resolver("/nowhere/uv", "uv 0", {})
    return Builder(
        resolver, "3.11.9", "x86_64-manylinux_2_34", "2026-11-26T00:00:00Z", folder, folder / "work", print
    )


def test_a_url_whose_file_name_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    source = Source("url", "https://nowhere.invalid/..%2F..%2Fbeyond-1.0-py3-none-any.whl")

    with pytest.raises(BuildError, match=f"{BEYOND}' is not the name of a file"):
        _builder(tmp_path).make(source, "beyond")


def test_an_index_that_names_a_file_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"/etc/beyond-1\.0\.tar\.gz' is not the name of a file"):
        _builder(tmp_path).make_from_sdist(
            "https://nowhere.invalid/x", "/etc/beyond-1.0.tar.gz", None, "beyond"
        )
