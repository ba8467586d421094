"""The head of an HTTP/1 request (RFC 9110, RFC 9112).

The daemon answers one request for each connection and reads no body: whatever follows the head is ignored,
and no length in it has to be right.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qs, unquote_to_bytes

MAX_HEAD_BYTES = 16_384
_MAX_QUERY_FIELDS = 20
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(
    rb"(?P<method>%b) (?P<target>[\x21-\x7e]+) HTTP/(?P<major>\d)\.(?P<minor>\d)" % _TOKEN
)
_FIELD = re.compile(rb"(?P<name>%b):(?P<value>[^\x00-\x08\x0a-\x1f\x7f]*)" % _TOKEN)
_ABSOLUTE = re.compile(
    r"https?://(?:\[[0-9A-Fa-f:.]+\]|[^\[\]/?#@:]+)(?::[0-9]*)?(?P<rest>[/?].*)?", re.IGNORECASE
)
_ESCAPES = re.compile(r"(?:[^%]|%[0-9A-Fa-f]{2})*")
_END = re.compile(rb"\r?\n\r?\n")


class RequestError(Exception):
    """The received bytes are not a request that can be answered.

    Args:
        status: Status of the answer.
        text: Reason, for the client.
    """

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class Request:
    """A request.

    Attributes:
        method: Such as `GET`.
        path: Path of the target, decoded.
        query: Fields of the query of the target.
        headers: Header fields, by name in lower case; of several with one name, the first.
    """

    method: str
    path: str
    query: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class HeadReader:
    """Collects received bytes until the head of a request is complete."""

    _received: bytearray = field(default_factory=bytearray)
    _searched: int = 0
    _has_line: bool = False

    def feed(self, chunk: bytes) -> Request | None:
        """Add received bytes.

        Args:
            chunk: The bytes.

        Returns:
            The request; None while it is incomplete.

        Raises:
            RequestError: The bytes are not the beginning of a request, or are too many.
        """
        self._received += chunk if self._received else chunk.lstrip(b"\r\n")
        if not self._received:
            return None
        if not self._has_line:
            self._look_at_first_line()
        found = _END.search(self._received, max(0, self._searched - len(b"\r\n\r")))
        self._searched = len(self._received)
        if (self._searched if found is None else found.start()) > MAX_HEAD_BYTES:
            raise RequestError(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"a head has at most {MAX_HEAD_BYTES} bytes\n"
            )
        return None if found is None else parse_head(bytes(self._received[: found.start()]))

    def _look_at_first_line(self) -> None:
        """Refuse another protocol at once: its clients send no empty line to wait for."""
        if re.match(_TOKEN, self._received) is None:
            raise RequestError(HTTPStatus.BAD_REQUEST, "this is not an HTTP request\n")
        end = self._received.find(b"\n")
        if end >= 0:
            self._has_line = True
            parse_head(bytes(self._received[:end]))


def parse_head(head: bytes) -> Request:
    """Parse the head of a request.

    Args:
        head: Its lines, without the empty line at its end.

    Returns:
        The request.

    Raises:
        RequestError: The bytes are not the head of a request.
    """
    lines = [line.removesuffix(b"\r") for line in head.split(b"\n")]
    found = _REQUEST_LINE.fullmatch(lines[0])
    if found is None:
        raise RequestError(HTTPStatus.BAD_REQUEST, "the first line is not METHOD TARGET HTTP/1.1\n")
    if found["major"] != b"1":
        raise RequestError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "only HTTP/1 is spoken here\n")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        parts = _FIELD.fullmatch(line)
        if parts is None:
            raise RequestError(HTTPStatus.BAD_REQUEST, "a line of the head is not NAME: VALUE\n")
        headers.setdefault(parts["name"].decode().lower(), parts["value"].strip().decode("latin-1"))
    method, target = found["method"].decode(), found["target"].decode()
    path, query = (target, {}) if method == "CONNECT" else _split_target(target)
    return Request(method, path, query, headers)


def _split_target(target: str) -> tuple[str, dict[str, list[str]]]:
    """Split the origin form (`/readyz?format=text`) or absolute form (`http://host/readyz`) of a target."""
    if target == "*":  # of OPTIONS
        return target, {}
    if not target.startswith("/"):
        found = _ABSOLUTE.fullmatch(target)
        if found is None:
            raise RequestError(HTTPStatus.BAD_REQUEST, "the target is neither a path nor an http URL\n")
        rest = found["rest"] or "/"
        target = rest if rest.startswith("/") else f"/{rest}"
    if "#" in target or _ESCAPES.fullmatch(target) is None:
        raise RequestError(HTTPStatus.BAD_REQUEST, "the target has a # or an incomplete % in it\n")
    path, _, query = target.partition("?")
    try:
        return (
            unquote_to_bytes(path).decode(),
            parse_qs(query, errors="strict", max_num_fields=_MAX_QUERY_FIELDS),
        )
    except ValueError as error:  # not UTF-8, or too many fields
        raise RequestError(HTTPStatus.BAD_REQUEST, "the target cannot be read\n") from error
