"""A client of HTTP/1.1 for blobs: one connection is used again for each source, redirects are the caller's.

Unlike a general client it hands out the body as it arrives, and never repeats a request with credentials for
another host. Proxies are those that the machine's variables name, as uv reads them.
"""

import http.client
import io
import os
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self, cast
from urllib.parse import urlsplit

from daemon.download_limit.upstream_proxy import UpstreamProxies
from daemon.source.failure import SourceFailure

_CONNECT_TIMEOUT_S = 10.0
_SILENCE_S = 20.0
# Of a head, a list or a token: a server that drips would hold its client for ever.
_LONGEST_S = 60.0
# Less is read at once from a slow network, where a larger buffer is only made and thrown away.
_READ_BYTES = (1 << 17, 1 << 21)
_SHOWN = 60
# X509_V_ERR_HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH, _CERT_HAS_EXPIRED of OpenSSL.
_OF_ANOTHER_NAME = frozenset({62, 64})
_EXPIRED = 10
_KEPT = 64
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Place:
    """The two ends of a connection.

    Attributes:
        scheme: `http` or `https`.
        host: Name or address.
        port: Port.
        via: Host and port of a peer-to-peer engine that is asked in place of the host; None to ask it itself.
    """

    scheme: str
    host: str
    port: int
    via: tuple[str, int] | None = None

    @property
    def origin(self) -> str:
        """Scheme, host and port, as a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def place_of(url: str, via: tuple[str, int] | None = None) -> Place:
    """Return the place of a URL.

    Raises:
        SourceFailure: The URL has no host, or another scheme than `http` and `https`.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        port = 0
    if not port or not parts.hostname:
        raise SourceFailure("unreachable", "leads to a URL that is neither http:// nor https://")
    return Place(parts.scheme, parts.hostname, port, via)


# A ValueError: a host or a path that cannot be encoded, of a redirect or of a token service.
_ERRORS = (OSError, http.client.HTTPException, ValueError)


class _TimedLines:
    """Reads the lines of a head until a time."""

    def __init__(self, file: io.BufferedReader, now: Callable[[], float]) -> None:
        self._file = file
        self._now = now
        self._end_s = now() + _LONGEST_S

    def readline(self, most_bytes: int) -> bytes:
        """Return the next line, or its first bytes."""
        line = b""
        while not line.endswith(b"\n") and len(line) < most_bytes:
            if self._now() > self._end_s:
                raise TimeoutError
            seen = self._file.peek(1)
            if not seen:
                break
            size = seen.find(b"\n") + 1 or len(seen)
            line += self._file.read(min(size, most_bytes - len(line)))
        return line

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _timed_response(now: Callable[[], float]) -> type[http.client.HTTPResponse]:
    class Response(http.client.HTTPResponse):
        def begin(self) -> None:
            file = self.fp
            self.fp = cast("io.BufferedReader", _TimedLines(file, now))
            try:
                super().begin()
            finally:
                if self.fp is not None:
                    self.fp = file

    return Response


@dataclass(slots=True)
class HttpAnswer:
    """An answer whose body has not been read; a context manager, which ends the transfer."""

    client: "HttpClient"
    place: Place
    connection: http.client.HTTPConnection
    response: http.client.HTTPResponse
    _read_bytes: int = _READ_BYTES[0]

    @property
    def status(self) -> int:
        """The status."""
        return self.response.status

    def header(self, name: str) -> str:
        """Return the value of a header field, or an empty text."""
        return self.response.getheader(name) or ""

    def read_some(self) -> bytes:
        """Return the next bytes of the body; none at its end.

        Raises:
            SourceFailure: The connection broke or is silent.
        """
        try:
            part = self.response.read1(self._read_bytes)
        except TimeoutError as error:
            raise SourceFailure("cut", f"sent nothing for {_SILENCE_S:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise SourceFailure("cut", f"the connection broke: {_reason(error)}") from error
        least, most = _READ_BYTES
        if len(part) == self._read_bytes:
            self._read_bytes = min(most, 2 * self._read_bytes)
        elif len(part) < self._read_bytes // 4:
            self._read_bytes = max(least, self._read_bytes // 2)
        return part

    def read_all(self, most_bytes: int) -> bytes:
        """Return the whole body.

        Raises:
            SourceFailure: The connection broke, or the body is longer than that.
        """
        parts, size_bytes = [], 0
        end_s = self.client.now() + _LONGEST_S
        while part := self.read_some():
            if self.client.now() > end_s:
                raise SourceFailure("unreachable", f"answers for more than {_LONGEST_S:g} s; check its log")
            parts.append(part)
            size_bytes += len(part)
            if size_bytes > most_bytes:
                raise SourceFailure("wrong", f"answers with more than {most_bytes:,} bytes")
        return b"".join(parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.give_back(self)


class HttpClient:
    """The client; several threads use it.

    Args:
        proxies: The proxies of the machine.
        now: A clock that never goes back.
    """

    def __init__(self, proxies: UpstreamProxies, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self._proxies = proxies
        self._context: ssl.SSLContext | None = None
        self._idle: dict[Place, list[http.client.HTTPConnection]] = {}
        self._guard = threading.Lock()

    def request(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        via: tuple[str, int] | None = None,
        body: bytes | None = None,
    ) -> HttpAnswer:
        """Send a request, and return the answer; redirects are not followed.

        Args:
            url: The URL.
            headers: Its header fields.
            via: Host and port of a peer-to-peer engine to ask instead.
            body: Body of a POST; None for a GET.

        Raises:
            SourceFailure: The host cannot be reached, is not trusted, or does not answer.
        """
        place = place_of(url, via)
        for is_kept in (True, False):
            connection = self._kept(place) if is_kept else self._connected(place)
            if connection is None:
                continue
            try:
                connection.request(
                    "GET" if body is None else "POST", self._target(place, url), body,
                    {"User-Agent": "monobase", "Accept": "*/*", **self._proxy_fields(place), **headers},
                )  # fmt: skip
                response = connection.getresponse()
            except _ERRORS as error:
                connection.close()
                if is_kept and not isinstance(error, TimeoutError):
                    continue  # the server had closed it
                raise _unreachable(place, error) from error
            return HttpAnswer(self, place, connection, response)
        raise AssertionError("a new connection answers or fails")

    def give_back(self, answer: HttpAnswer) -> None:
        """Keep the connection of an answer whose body was read, and close any other."""
        if answer.response.length == 0:
            answer.response.read()  # which notes that the body was read
        with self._guard:
            idle = self._idle.setdefault(answer.place, [])
            if answer.response.isclosed() and answer.connection.sock is not None and len(idle) < _KEPT:
                idle.append(answer.connection)
                return
        answer.response.close()
        answer.connection.close()

    def close(self) -> None:
        """Close the connections that are not in use."""
        with self._guard:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()

    def _kept(self, place: Place) -> http.client.HTTPConnection | None:
        with self._guard:
            idle = self._idle.get(place)
            return idle.pop() if idle else None

    def _connected(self, place: Place) -> http.client.HTTPConnection:
        connection = self._made(place)
        connection.response_class = _timed_response(self.now)
        try:
            connection.connect()
            if connection.sock is not None:
                connection.sock.settimeout(_SILENCE_S)
        except _ERRORS as error:
            connection.close()
            raise _unreachable(place, error) from error
        return connection

    def _made(self, place: Place) -> http.client.HTTPConnection:
        if place.via is not None:
            return http.client.HTTPConnection(*place.via, timeout=_CONNECT_TIMEOUT_S)
        proxy = self._proxies.find(place.scheme, place.host)
        if place.scheme == "https":
            if proxy is None:
                return http.client.HTTPSConnection(
                    place.host, place.port, timeout=_CONNECT_TIMEOUT_S, context=self._tls()
                )
            if proxy.tls:
                raise SourceFailure(
                    "unreachable",
                    "is reached by an https:// proxy; name an http:// one, or add it to NO_PROXY",
                )
            connection = http.client.HTTPSConnection(
                proxy.host, proxy.port, timeout=_CONNECT_TIMEOUT_S, context=self._tls()
            )
            fields = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
            connection.set_tunnel(place.host, place.port, fields)
            return connection
        if proxy is not None and proxy.tls:
            return http.client.HTTPSConnection(
                proxy.host, proxy.port, timeout=_CONNECT_TIMEOUT_S, context=self._tls()
            )
        host, port = (place.host, place.port) if proxy is None else (proxy.host, proxy.port)
        return http.client.HTTPConnection(host, port, timeout=_CONNECT_TIMEOUT_S)

    def _target(self, place: Place, url: str) -> str:
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        is_forwarded = place.via is None and place.scheme == "http" and self._proxies.find("http", place.host)
        return f"{parts.scheme}://{parts.netloc}{path}" if is_forwarded else path

    def _proxy_fields(self, place: Place) -> dict[str, str]:
        if place.via is not None or place.scheme != "http":
            return {}
        proxy = self._proxies.find("http", place.host)
        if proxy is None or not proxy.authorization:
            return {}
        return {"Proxy-Authorization": proxy.authorization}

    def _tls(self) -> ssl.SSLContext:
        with self._guard:
            if self._context is None:
                self._context = ssl.create_default_context()
            return self._context


def untrusted(host: str, error: ssl.SSLCertVerificationError, named: str) -> SourceFailure:
    """Return the failure of a host whose certificate is refused.

    Args:
        host: The host, with its port.
        error: Why it is refused.
        named: The file that SSL_CERT_FILE names; OpenSSL is silent if it cannot be read.
    """
    text = f"{host}: its certificate is not trusted: {error.verify_message.rstrip('.')}"
    if error.verify_code in _OF_ANOTHER_NAME:
        return SourceFailure("unreachable", f"{text}; write the name that it is for, or correct it")
    if error.verify_code == _EXPIRED:
        return SourceFailure("unreachable", f"{text}; renew it")
    if named and not os.access(named, os.R_OK):
        return SourceFailure("unreachable", f"{text}; SSL_CERT_FILE names {named}, which cannot be read")
    return SourceFailure("unreachable", f"{text}; name the authority's in SSL_CERT_FILE")


# As OpenSSL calls the answer of a server without TLS.
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"})


def _unreachable(place: Place, error: BaseException) -> SourceFailure:
    host = f"{place.host}:{place.port}" if place.via is None else f"{place.via[0]}:{place.via[1]}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return untrusted(host, error, os.environ.get("SSL_CERT_FILE", ""))
    if isinstance(error, TimeoutError):
        return SourceFailure("unreachable", f"{host} does not answer; check its address and the network")
    if isinstance(error, ssl.SSLError) and error.reason in _NOT_TLS:
        return SourceFailure(
            "unreachable", f"{host} does not speak TLS; correct the port, or write http:// (or oci+http://)"
        )
    if isinstance(error, http.client.BadStatusLine | http.client.UnknownProtocol) and not isinstance(
        error, OSError
    ):
        said = ascii(error.args[0] if error.args else "")[:_SHOWN]
        return SourceFailure(
            "unreachable",
            f"{host} does not answer in HTTP/1.1 but with {said}; correct the scheme and the port",
        )
    return SourceFailure(
        "unreachable", f"{host} cannot be reached: {_reason(error)}; check its address and the network"
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, http.client.IncompleteRead):
        return "it ended early"
    if isinstance(error, UnicodeError):
        return "it is not the name of a host"
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(reason).split())
