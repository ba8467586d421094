"""The index: whose URL it is, and where its credentials go."""

from pathlib import Path

import pytest

from tools.mirror.errors import SourceError
from tools.mirror.index_source import default_index_url, with_credentials

PAGE = "https://ada:horse@i.example/simple/a/"


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("../../a-1.whl#sha256=1", "https://ada:horse@i.example/a-1.whl"),
        ("https://i.example/f/a-1.whl", "https://ada:horse@i.example/f/a-1.whl"),
        ("https://files.example/a-1.whl", "https://files.example/a-1.whl"),
        ("http://i.example/a-1.whl", "http://i.example/a-1.whl"),
        ("https://i.example:8443/a-1.whl", "https://i.example:8443/a-1.whl"),
    ],
)
def test_credentials_of_a_page_go_to_its_own_host_only(link: str, url: str) -> None:
    assert with_credentials(link, PAGE, "https://i.example/simple/a/") == url


def test_uvs_variables_come_before_pips() -> None:
    pip = {"PIP_INDEX_URL": "https://pip.example/simple"}
    assert default_index_url({"UV_DEFAULT_INDEX": "x=https://uv.example/simple", **pip}) == (
        "https://uv.example/simple"
    )
    assert (
        default_index_url({"UV_INDEX_URL": "https://uv.example/simple", **pip}) == "https://uv.example/simple"
    )


def test_pips_index_counts_where_uv_has_none(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://pip.example/simple\n")
    variables = {"HOME": str(tmp_path), "UV_NO_CONFIG": "1", "PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}
    assert default_index_url(variables) == "https://pip.example/simple"
    assert default_index_url({**variables, "PIP_INDEX_URL": "https://other.example/s"}) == (
        "https://other.example/s"
    )


def test_an_index_in_a_folder_is_refused_with_what_to_do() -> None:
    with pytest.raises(SourceError, match="name a folder with --from"):
        default_index_url({"UV_DEFAULT_INDEX": "file:///srv/simple"})
