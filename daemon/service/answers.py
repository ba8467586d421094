"""Answers requests for `/`, `/healthz`, `/readyz` and `/metrics`."""

import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus

from daemon.report.shown_text import json_document, visible
from daemon.service.context import ServiceContext
from daemon.service.failure import for_everybody, text_of
from daemon.service.http_request import Request
from daemon.service.metrics import CONTENT_TYPE
from daemon.service.page_code import POLICY
from daemon.service.page_facts import read_page_facts
from daemon.service.status_page import status_page
from daemon.upkeep.readiness import readiness_text
from gens.errors import MonobaseError
from gens.redaction import redact

_METHODS = ("GET", "HEAD")
_JSON = "application/json"
_PLAIN = "text/plain; charset=utf-8"
_HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Response:
    """An answer.

    Attributes:
        status: HTTP status.
        content_type: Media type of the body.
        body: The body.
        allow: The methods that exist, in the answer to another one.
        policy: Content-Security-Policy of a page.
    """

    status: HTTPStatus
    content_type: str
    body: bytes
    allow: str = ""
    policy: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """A question whose answer needs the prefix; equal questions have the same answer at one time.

    Attributes:
        path: `/`, `/readyz` or `/metrics`.
        as_text: Whether lines are wanted instead of JSON.
    """

    path: str
    as_text: bool = False


def question_of(context: ServiceContext, request: Request) -> Question | Response:
    """Return what a request asks, or the answer if it does not need the prefix.

    Args:
        context: The service.
        request: The request.
    """
    if request.method not in _METHODS:
        refusal = plain(HTTPStatus.METHOD_NOT_ALLOWED, f"only {_METHODS[0]} and {_METHODS[1]} are answered\n")
        return replace(refusal, allow=", ".join(_METHODS))
    if request.path == "/healthz":
        if context.state.alive:
            return plain(HTTPStatus.OK, "ok\n")
        return plain(HTTPStatus.SERVICE_UNAVAILABLE, "stopped\n")
    if request.path not in _PAGES:
        return plain(HTTPStatus.NOT_FOUND, "there are /, /healthz, /readyz and /metrics\n")
    wants_text = request.query.get("format") == ["text"] or request.headers.get("accept", "").startswith(
        "text/plain"
    )
    return Question(request.path, wants_text and request.path == "/readyz")


def respond(context: ServiceContext, question: Question) -> Response:
    """Return the answer to a question; may read the prefix, for as long as the disk takes.

    Args:
        context: The service.
        question: The question.
    """
    try:
        return _PAGES[question.path](context, question)
    except (MonobaseError, OSError) as error:
        return plain(HTTPStatus.SERVICE_UNAVAILABLE, f"{for_everybody(text_of(error))}\n")
    except Exception:
        print(redact(traceback.format_exc()), file=sys.stderr)
        return plain(HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of monobase itself; its log tells more\n")


def _readyz(context: ServiceContext, question: Question) -> Response:
    readiness = context.readiness()
    status = HTTPStatus.OK if readiness.ready else HTTPStatus.SERVICE_UNAVAILABLE
    if question.as_text:
        text = readiness_text(readiness)
        if context.state.turn and not readiness.ready:  # the first reason: what is missing has not failed
            text = text.replace("\n", f"\n{context.state.turn}\n", 1)
        return Response(status, _PLAIN, visible(text, "\n").encode())
    body = {**asdict(readiness), "activity": context.state.activity}
    return Response(status, _JSON, json_document(body) + b"\n")


def _metrics(context: ServiceContext, _question: Question) -> Response:
    return Response(HTTPStatus.OK, CONTENT_TYPE, context.metrics.exposition())


def _page(context: ServiceContext, _question: Question) -> Response:
    root = str(context.prefix.root)
    page = status_page(context.readiness(), context.state, root, read_page_facts(context))
    return Response(HTTPStatus.OK, _HTML, visible(page, "\n\t").encode(), policy=POLICY)


_PAGES: dict[str, Callable[[ServiceContext, Question], Response]] = {
    "/": _page,
    "/readyz": _readyz,
    "/metrics": _metrics,
}


def plain(status: HTTPStatus, text: str) -> Response:
    """Return an answer with a line of text."""
    return Response(status, _PLAIN, visible(text, "\n").encode())
