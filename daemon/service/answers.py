"""What the daemon answers: `/`, `/healthz`, `/readyz`, `/metrics`."""

import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus

from daemon.report.redaction import redact
from daemon.report.shown_text import json_document, visible
from daemon.service.context import ServiceContext
from daemon.service.failure import for_everybody, text_of
from daemon.service.http_request import Request
from daemon.service.metrics import CONTENT_TYPE
from daemon.service.status_page import status_page
from daemon.upkeep.readiness import readiness_text
from gens.errors import MonobaseError

_METHODS = ("GET", "HEAD")
_JSON = "application/json"
_PLAIN = "text/plain; charset=utf-8"
_HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Response:
    """An answer.

    Attributes:
        status: Its status.
        content_type: What its body is.
        body: Its body.
        allow: The methods that there are, where another was asked for.
    """

    status: HTTPStatus
    content_type: str
    body: bytes
    allow: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked; two that are equal have the same answer at one time.

    Attributes:
        path: `/`, `/readyz` or `/metrics`.
        as_text: Whether lines are wanted where there would be JSON.
    """

    path: str
    as_text: bool = False


def question_of(context: ServiceContext, request: Request) -> Question | Response:
    """Find out what a request asks; what needs no look at the prefix is answered at once.

    Args:
        context: The service.
        request: The request.

    Returns:
        The question, or the answer.
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
    """Answer a question; the prefix may be read for it, which can take as long as a disk takes.

    Args:
        context: The service.
        question: What is asked.

    Returns:
        The answer.
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
        return Response(status, _PLAIN, visible(readiness_text(readiness), "\n").encode())
    body = {**asdict(readiness), "activity": context.state.activity}
    return Response(status, _JSON, json_document(body) + b"\n")


def _metrics(context: ServiceContext, _question: Question) -> Response:
    return Response(HTTPStatus.OK, CONTENT_TYPE, context.metrics.exposition())


def _page(context: ServiceContext, _question: Question) -> Response:
    try:
        room = os.statvfs(context.prefix.root)
        free_bytes = room.f_bavail * room.f_frsize
    except OSError:
        free_bytes = None
    page = status_page(context.readiness(), context.state, str(context.prefix.root), free_bytes, time.time())
    return Response(HTTPStatus.OK, _HTML, visible(page, "\n\t").encode())


_PAGES: dict[str, Callable[[ServiceContext, Question], Response]] = {
    "/": _page,
    "/readyz": _readyz,
    "/metrics": _metrics,
}


def plain(status: HTTPStatus, text: str) -> Response:
    """Answer with a line for people."""
    return Response(status, _PLAIN, visible(text, "\n").encode())
