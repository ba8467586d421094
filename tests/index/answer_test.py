from http import HTTPStatus
from pathlib import Path

import pytest

from tests.index.answer import answer_with, answer_without_body, conditional, ranged

CONTENT = bytes(range(100))


@pytest.fixture(params=["memory", "file"])
def content(request: pytest.FixtureRequest, tmp_path: Path) -> bytes | Path:
    if request.param == "memory":
        return CONTENT
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=0-9", 0, 9),
        ("bytes=90-", 90, 99),
        ("bytes=-5", 95, 99),
        ("bytes=90-500", 90, 99),
        ("bytes=-500", 0, 99),
    ],
)
def test_a_range_is_answered_with_that_part(
    content: bytes | Path, header: str, first: int, last: int
) -> None:
    answer = ranged(answer_with(content, {}), header)
    assert answer.status == HTTPStatus.PARTIAL_CONTENT
    assert b"".join(answer.chunks()) == CONTENT[first : last + 1]
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/100"


@pytest.mark.parametrize("header", [None, "bytes=-", "bytes=0-1,5-6", "lines=1-2"])
def test_without_a_range_that_is_understood_the_whole_is_sent(
    content: bytes | Path, header: str | None
) -> None:
    answer = ranged(answer_with(content, {}), header)
    assert (answer.status, b"".join(answer.chunks())) == (HTTPStatus.OK, CONTENT)


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=7-3", "bytes=-0"])
def test_a_range_outside_of_the_content_is_416(content: bytes | Path, header: str) -> None:
    answer = ranged(answer_with(content, {}), header)
    assert answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    assert answer.headers["Content-Range"] == "bytes */100"


def test_a_client_that_holds_the_content_gets_304_without_a_body() -> None:
    answer = answer_with(CONTENT, {"ETag": '"a"'})
    assert conditional(answer, '"a"').status == HTTPStatus.NOT_MODIFIED
    assert conditional(answer, '"b", "a"').size_bytes == 0
    assert conditional(answer, '"b"') == answer
    assert conditional(answer, None) == answer


def test_an_answer_without_an_etag_is_never_304() -> None:
    answer = answer_without_body(HTTPStatus.NOT_FOUND)
    assert conditional(answer, '"a"') == answer
    assert b"".join(answer.chunks()) == b"404 Not Found\n"
