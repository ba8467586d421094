"""Requests of a source on the web: redirects without credentials, statuses as failures, ranges.

A redirect to a bucket has its authorization in the URL: no message shows a URL that a source answered with.
"""

import contextlib
import email.utils
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import urljoin

from daemon.source.body import Blob
from daemon.source.failure import SourceFailure
from daemon.source.http_client import HttpAnswer, HttpClient, place_of

_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(slots=True)
class WebBody:
    """The body of an answer.

    Attributes:
        answer: The answer.
        skip_bytes: Number of bytes at its beginning that are not wanted: a server may ignore a range.
    """

    answer: HttpAnswer
    skip_bytes: int = 0

    def read_some(self) -> bytes:
        """Return the next bytes; none at the end.

        Raises:
            SourceFailure: The connection broke or is silent.
        """
        return self.answer.read_some()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.answer.__exit__()


def follow(client: HttpClient, url: str, headers: Mapping[str, str], authorization: str) -> HttpAnswer:
    """Request a URL and what it redirects to; no other origin gets the credentials.

    Args:
        client: The client.
        url: The URL.
        headers: Header fields for every host.
        authorization: Value of `Authorization` for the first origin; empty for none.

    Raises:
        SourceFailure: A host cannot be reached, or the redirects are no way.
    """
    first = place_of(url)
    for _ in range(_MOST_REDIRECTS + 1):
        place = place_of(url)
        own = {"Authorization": authorization} if authorization and place == first else {}
        answer = client.request(url, {**headers, **own})
        location = answer.header("Location")
        if answer.status not in _REDIRECTS or not location:
            return answer
        with answer, contextlib.suppress(SourceFailure):
            answer.read_all(1 << 16)  # so that the connection can be used again
        url = _joined(url, location)
        if first.scheme == "https" and place_of(url).scheme != "https":
            raise SourceFailure("unreachable", "redirects from https:// to http://; correct the source")
    raise SourceFailure("unreachable", f"redirects more than {_MOST_REDIRECTS} times; correct the source")


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise SourceFailure("unreachable", "redirects to what is not a URL; correct the source") from error


def range_fields(offset: int) -> dict[str, str]:
    """Return the header fields that request a blob from an offset on."""
    # A server that compresses would send other bytes than the file's.
    return {"Accept-Encoding": "identity", **({"Range": f"bytes={offset}-"} if offset else {})}


def blob_body(answer: HttpAnswer, blob: Blob, offset: int) -> WebBody:
    """Return the body of an answer to a request for a blob.

    Args:
        answer: The answer, with a status of success; closed on failure.
        blob: The blob.
        offset: Number of bytes that were not requested.

    Raises:
        SourceFailure: The answer is another file.
    """
    begin = offset if answer.status == 206 else 0
    fault = _fault(answer, blob.size_bytes, begin)
    if fault:
        answer.__exit__()
        raise SourceFailure("wrong", fault)
    return WebBody(answer, offset - begin)


def _fault(answer: HttpAnswer, size_bytes: int, begin: int) -> str:
    """Return what is wrong with the head of an answer to a request for a blob; empty if nothing is."""
    length = answer.header("Content-Length")
    # A server may call a .tar.gz `gzip` and send the file as it is, but then it knows the length.
    encoding = answer.header("Content-Encoding").strip().lower()
    is_right = length.isdecimal() and int(length) == size_bytes - begin
    if encoding not in {"", "identity"} and not is_right:
        return f"sends the file compressed ({encoding[:20]!a}); turn compression off for files there"
    if length.isdecimal() and not is_right:
        return f"sends {int(length):,} bytes in place of {size_bytes - begin:,}; repair the source"
    span = answer.header("Content-Range")
    if answer.status == 206 and not span.startswith(f"bytes {begin}-"):
        return f"answers with the range {span[:40]!a} to a request from byte {begin:,} on; repair the source"
    return ""


def check_status(answer: HttpAnswer, what: str, remedy: str, base: str) -> None:
    """Turn a status that is not a success into a failure; close the answer then.

    Args:
        answer: The answer.
        what: What was requested, for messages.
        remedy: What to do if access is denied.
        base: URL of the source, which may have redirected to the host that answers.

    Raises:
        SourceFailure: The status is not 200 or 206.
    """
    status = answer.status
    if status in {200, 206}:
        return
    says = f"answers {status}"
    if not is_from(answer, base):
        says = f"redirects to {answer.place.host}:{answer.place.port}, which answers {status}"
        remedy = "repair the access of the source to that storage"
    wait_s = _retry_after_s(answer.header("Retry-After"))
    with answer, contextlib.suppress(SourceFailure):
        answer.read_all(1 << 16)
    if status in {404, 410}:
        raise SourceFailure("absent", f"{says} for {what}; mirror its generation there")
    if status in {401, 403, 407}:
        raise SourceFailure("denied", f"{says} for {what}; {remedy}")
    raise SourceFailure("unreachable", f"{says} for {what}; check the source and its log", wait_s)


def is_from(answer: HttpAnswer, base: str) -> bool:
    """Return whether an answer is the source's own, not of a host that it redirected to.

    Args:
        answer: The answer; that of a peer-to-peer engine stands for the source.
        base: URL of the source.
    """
    return answer.place.origin == place_of(base).origin


def _retry_after_s(asked: str) -> float | None:
    """Read `Retry-After` (RFC 9110, section 10.2.3): seconds or a date."""
    if asked.isdecimal():
        return float(asked)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(asked).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
