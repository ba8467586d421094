"""One HTTP answer: status, headers and a body from memory or from a file."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path

_CHUNK_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        status: HTTP status.
        headers: Headers but ``Content-Length``.
        content: Where the body comes from.
        start: Offset of the body in the content, in bytes.
        size_bytes: Size of the body.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes | Path
    start: int
    size_bytes: int

    def chunks(self) -> Iterator[bytes]:
        """Yield the body in pieces."""
        if isinstance(self.content, bytes):
            yield self.content[self.start : self.start + self.size_bytes]
            return
        left = self.size_bytes
        with self.content.open("rb") as file:
            file.seek(self.start)
            while left and (chunk := file.read(min(left, _CHUNK_BYTES))):
                left -= len(chunk)
                yield chunk


def answer_with(content: bytes | Path, headers: Mapping[str, str], *, status: int = HTTPStatus.OK) -> Answer:
    """Return an answer that sends the whole of a content."""
    size_bytes = len(content) if isinstance(content, bytes) else content.stat().st_size
    return Answer(status, headers, content, 0, size_bytes)


def answer_without_body(status: int, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an answer that has a status and its phrase."""
    phrase = f"{status} {HTTPStatus(status).phrase}\n".encode()
    content = b"" if status == HTTPStatus.NOT_MODIFIED else phrase
    return answer_with(content, {"Content-Type": "text/plain", **(headers or {})}, status=status)


def conditional(answer: Answer, if_none_match: str | None) -> Answer:
    """Return 304 in place of an answer that the client holds already (RFC 9110, section 13.1.2)."""
    if if_none_match is not None and answer.headers.get("ETag") in re.split(r"\s*,\s*", if_none_match):
        return answer_without_body(HTTPStatus.NOT_MODIFIED, answer.headers)
    return answer


def ranged(answer: Answer, range_header: str | None) -> Answer:
    """Return the part of an answer that a client asks for (RFC 9110, section 14).

    Args:
        answer: The whole.
        range_header: The ``Range`` header; more than one range gets the whole, as the RFC allows.

    Returns:
        206 with the part, 416 where there is no such part, or the whole.
    """
    match = _RANGE.fullmatch(range_header or "")
    if match is None or match.group() == "bytes=-" or answer.status != HTTPStatus.OK:
        return answer
    first, last = match.groups()
    start = int(first) if first else max(0, answer.size_bytes - int(last))
    end = min(int(last) + 1, answer.size_bytes) if first and last else answer.size_bytes
    if start >= end:
        headers = {"Content-Range": f"bytes */{answer.size_bytes}"}
        return answer_without_body(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers)
    headers = {**answer.headers, "Content-Range": f"bytes {start}-{end - 1}/{answer.size_bytes}"}
    return replace(
        answer, status=HTTPStatus.PARTIAL_CONTENT, headers=headers, start=start, size_bytes=end - start
    )


def etag_of(content: bytes) -> str:
    """Return an entity tag for a content."""
    return f'"{hashlib.sha256(content).hexdigest()}"'
