"""The checked-in page of the generations is what `//tools:matrix` writes."""

from pathlib import Path

import pytest

from gens.catalog import load_catalog
from tools.overview.page import lock_link, overview_page
from tools.overview.sharing import read_bytes


def test_the_page_is_what_the_command_writes() -> None:
    catalog = load_catalog(Path("gens"))
    page = overview_page(read_bytes(catalog, catalog.generations), lock_link("../gens"))
    if Path("docs/matrix.html").read_text(encoding="utf-8") != page:
        pytest.fail(
            "docs/matrix.html: is not what the generations are; "
            "run `bazel run //tools:matrix -- --html docs/matrix.html`",
            pytrace=False,
        )
