"""Tests of the answer to each request."""

import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import DiskError
from daemon.service.answers import Question, Response, question_of, respond
from daemon.service.http_request import Request
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.fake_service.fake_service import FakeService


@pytest.fixture
def service(tmp_path: Path) -> FakeService:
    fake = FakePrefix(tmp_path)
    fake.install(0)
    return FakeService(fake)


def _get(service: FakeService, path: str, method: str = "GET", **request: Any) -> Response:  # noqa: ANN401
    answer = question_of(service.context, Request(method, path, **request))
    return answer if isinstance(answer, Response) else respond(service.context, answer)


def test_healthz_needs_no_look_at_the_prefix(service: FakeService) -> None:
    answer = question_of(service.context, Request("GET", "/healthz"))
    assert answer == Response(HTTPStatus.OK, "text/plain; charset=utf-8", b"ok\n")
    service.context.state.alive = False
    assert _get(service, "/healthz").status == HTTPStatus.SERVICE_UNAVAILABLE


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/", HTTPStatus.METHOD_NOT_ALLOWED), ("GET", "/favicon.ico", HTTPStatus.NOT_FOUND)],
)
def test_what_there_is_not_is_refused(
    service: FakeService, method: str, path: str, status: HTTPStatus
) -> None:
    answer = _get(service, path, method)
    assert answer.status == status
    assert answer.allow == ("GET, HEAD" if method == "POST" else "")


def test_readyz_is_503_with_reasons_until_the_node_is_ready(service: FakeService) -> None:
    answer = _get(service, "/readyz")
    assert (answer.status, answer.content_type) == (HTTPStatus.SERVICE_UNAVAILABLE, "application/json")
    body = json.loads(answer.body)
    assert (body["ready"], body["activity"]) == (False, "starting")
    service.context.state.set_damage({})
    assert _get(service, "/readyz").status == HTTPStatus.OK


@pytest.mark.parametrize(
    "request_parts", [{"query": {"format": ["text"]}}, {"headers": {"accept": "text/plain;q=1"}}]
)
def test_readyz_is_lines_where_text_is_asked_for(service: FakeService, request_parts: dict[str, Any]) -> None:
    answer = _get(service, "/readyz", **request_parts)
    assert answer.content_type == "text/plain; charset=utf-8"
    assert answer.body.startswith(b"not ready\n")
    question = question_of(service.context, Request("GET", "/metrics", **request_parts))
    assert question == Question("/metrics")


def test_readyz_says_first_that_a_node_waits_for_its_turn(service: FakeService) -> None:
    service.context.state.turn = "waiting until 12:00:00 UTC, this node's turn to fetch g00000"
    lines = _get(service, "/readyz", query={"format": ["text"]}).body.decode().splitlines()
    assert lines[:2] == ["not ready", service.context.state.turn]
    service.context.state.set_damage({})
    assert "turn" not in _get(service, "/readyz", query={"format": ["text"]}).body.decode()


def test_the_page_and_the_metrics_have_their_types(service: FakeService) -> None:
    assert _get(service, "/metrics").content_type == "text/plain; version=0.0.4; charset=utf-8"
    page = _get(service, "/")
    assert page.content_type == "text/html; charset=utf-8"
    assert str(service.fake.prefix.root).encode() in page.body
    service.fake.prefix.root.rename(service.fake.directory / "gone")
    assert _get(service, "/").status == HTTPStatus.OK


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (DiskError("/srv: https://me:secret@host/ failed"), 503, b"/srv: https://host/ failed\n"),
        (OSError(5, "Input/output error", "/srv"), 503, b"/srv: Input/output error\n"),
        (ZeroDivisionError(), 500, b"a fault of monobase itself; its log tells more\n"),
    ],
)
def test_an_answer_that_fails_says_why_without_passwords(
    service: FakeService,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    status: int,
    text: bytes,
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(service.context, "readiness", fail)
    answer = _get(service, "/readyz")
    assert (answer.status, answer.body) == (status, text)
    assert ("Traceback" in capsys.readouterr().err) == (status == 500)


def test_the_page_allows_nothing_but_its_own_script_and_style(service: FakeService) -> None:
    answer = _get(service, "/")
    assert answer.content_type == "text/html; charset=utf-8"
    assert answer.policy.startswith("default-src 'none'; style-src 'sha256-")
    assert _get(service, "/metrics").policy == ""
