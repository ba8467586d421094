import html.parser
import json
from pathlib import Path

import pytest

from tests.index.project_page import (
    HTML_TYPE,
    HTML_V1_TYPE,
    JSON_TYPE,
    Listing,
    negotiated,
    project_html,
    project_json,
)
from tests.index.wheel import WheelSpec, write_wheel


@pytest.fixture
def listing(tmp_path: Path) -> Listing:
    wheel = write_wheel(WheelSpec("torch", "2.4.1+cu118", requires_python=">=3.8"), tmp_path)
    return Listing(
        wheel, f"/whl/{wheel.filename}", "2024-01-01T00:00:00Z", 'bad "build"', has_metadata_file=True
    )


def links_of(page: bytes) -> list[dict[str, str | None]]:
    links = []

    class Parser(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag == "a":
                links.append(dict(attrs))

    Parser().feed(page.decode())
    return links


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", HTML_TYPE),
        ("*/*", HTML_TYPE),
        ("text/html", HTML_TYPE),
        (f"{JSON_TYPE}, {HTML_V1_TYPE};q=0.2, text/html;q=0.01", JSON_TYPE),
        (f"text/html;q=0.1, {HTML_V1_TYPE}; q=0.2", HTML_V1_TYPE),
        (f"{JSON_TYPE};q=0, text/html;q=0.5", HTML_TYPE),
    ],
)
def test_the_client_gets_the_media_type_that_it_wants_most(accept: str, media_type: str) -> None:
    assert negotiated(accept) == media_type


def test_a_link_has_the_hash_in_its_fragment_and_an_escaped_plus_sign(listing: Listing) -> None:
    (link,) = links_of(project_html("torch", [listing]))
    name = "torch-2.4.1%2Bcu118-py3-none-any.whl"
    assert link["href"] == f"/whl/{name}#sha256={listing.wheel.sha256}"
    assert link["data-requires-python"] == ">=3.8"
    assert link["data-yanked"] == 'bad "build"'
    assert link["data-core-metadata"] == f"sha256={listing.wheel.metadata_sha256}"


def test_a_json_file_has_the_size_the_upload_time_and_the_reason_of_a_yank(listing: Listing) -> None:
    page = json.loads(project_json("torch", [listing]))
    assert page["meta"] == {"api-version": "1.1"}
    assert page["versions"] == ["2.4.1+cu118"]
    assert page["files"] == [
        {
            "filename": "torch-2.4.1+cu118-py3-none-any.whl",
            "url": "/whl/torch-2.4.1%2Bcu118-py3-none-any.whl",
            "hashes": {"sha256": listing.wheel.sha256},
            "size": listing.wheel.size_bytes,
            "upload-time": "2024-01-01T00:00:00Z",
            "yanked": 'bad "build"',
            "requires-python": ">=3.8",
            "core-metadata": {"sha256": listing.wheel.metadata_sha256},
        }
    ]
