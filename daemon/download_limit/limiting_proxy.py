"""A proxy on loopback that lets uv download no faster than a rate: uv has no such setting of its own.

All uv processes of a daemon go through one of it, so their sum is bounded. What is encrypted stays so:
`https` is a tunnel (CONNECT), and uv itself checks certificates and digests as ever. It passes faults on as
they come: a connection that breaks, stalls or ends early does so for uv as well, which retries as ever.
"""

import asyncio
import base64
import contextlib
import hmac
import os
import secrets
import ssl
import threading
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from daemon.download_limit.rate_limit import RateLimit
from daemon.download_limit.upstream_proxy import (
    PROXY_VARIABLES,
    UpstreamProxies,
    UpstreamProxy,
    check_configuration,
    read_upstream_proxies,
)

_HOST = "127.0.0.1"
_USER = "monobase"
_CONNECT_TIMEOUT_S = 20
_HEAD_TIMEOUT_S = 60
_HEAD_BYTES = 65_536
_END = b"\r\n\r\n"
# What speaks of one connection is not passed on to the next.
_OF_A_CONNECTION = {
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "proxy-authenticate",
}


class _RefusedError(Exception):
    """A request that is answered here.

    Attributes:
        status: Status line of the answer, without the version.
    """

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class _Head:
    """The first line and the headers of a request or an answer."""

    first: str
    headers: tuple[tuple[str, str], ...]

    def find(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")

    def passed_on(self, first: str, *added: tuple[str, str]) -> bytes:
        kept = [item for item in self.headers if item[0].lower() not in _OF_A_CONNECTION]
        lines = [first, *(f"{name}: {value}" for name, value in (*kept, *added)), "", ""]
        return "\r\n".join(lines).encode("latin-1")


@dataclass(frozen=True, slots=True)
class _Stream:
    """Both directions of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def head(self) -> _Head:
        async with asyncio.timeout(_HEAD_TIMEOUT_S):
            text = (await self.reader.readuntil(_END)).decode("latin-1")
        first, *lines = text.removesuffix("\r\n\r\n").split("\r\n")
        headers = [line.partition(":")[::2] for line in lines]
        return _Head(first, tuple((name.strip(), value.strip()) for name, value in headers))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def close(self) -> None:
        """Send what is left to send, and close."""
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            return
        except asyncio.CancelledError:
            self.break_off()  # the other side does not take what is left
            raise

    def break_off(self) -> None:
        """Reset the connection, so that the other side does not take what it has for the whole."""
        self.writer.transport.abort()


class LimitingProxy:
    """The proxy, in a thread of its own.

    Only who knows the password in its URL is served: it is no way into the network for others on the machine.

    Args:
        limit: What may pass.
        upstream: The proxies that the machine's variables name.
        say: Told, once, of each host that cannot be reached, and why: uv only learns that it cannot.
    """

    def __init__(
        self, limit: RateLimit, upstream: UpstreamProxies, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self._limit = limit
        self._upstream = upstream
        self._say = say
        self._unreachable: set[str] = set()
        self._password = secrets.token_urlsafe()
        self._expected = f"Basic {base64.b64encode(f'{_USER}:{self._password}'.encode()).decode()}"
        self._loop = asyncio.new_event_loop()
        self._connections: set[asyncio.Task[None]] = set()
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._accept, _HOST, 0, limit=_HEAD_BYTES)
        )
        self._port = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def __enter__(self) -> str:
        self.start()
        return self.url

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Break all connections off, and serve no more."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        """Its URL, with the password."""
        return f"http://{_USER}:{self._password}@{_HOST}:{self._port}"

    async def _end(self) -> None:
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        client = _Stream(reader, writer)
        try:
            await self._serve(client)
        except _RefusedError as refused:
            with contextlib.suppress(OSError):
                await client.send(
                    f"HTTP/1.1 {refused.status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
                )
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            client.break_off()
        except asyncio.CancelledError:
            client.break_off()
            raise
        finally:
            await client.close()

    async def _serve(self, client: _Stream) -> None:
        request = await client.head()
        method, _, rest = request.first.partition(" ")
        target, _, version = rest.partition(" ")
        if not version.startswith("HTTP/1."):
            raise _RefusedError("400 Bad Request")
        if not hmac.compare_digest(request.find("proxy-authorization").encode(), self._expected.encode()):
            raise _RefusedError("407 Proxy Authentication Required")
        if method == "CONNECT":
            await self._tunnel(client, target)
        else:
            await self._forward(client, request, method, target)

    async def _tunnel(self, client: _Stream, target: str) -> None:
        host, port = _host_and_port(f"//{target}", 443)
        upstream = self._upstream.find("https", host)
        origin = await self._connect(upstream, host, port)
        try:
            if upstream is not None:
                await _ask_for_tunnel(origin, upstream, target)
            await client.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await self._relay(client, origin)
        finally:
            await origin.close()

    async def _forward(self, client: _Stream, request: _Head, method: str, target: str) -> None:
        url = urlsplit(target)
        if url.scheme != "http":
            raise _RefusedError("400 Bad Request")
        host, port = _host_and_port(target, 80)
        upstream = self._upstream.find("http", host)
        origin = await self._connect(upstream, host, port)
        try:
            # One request for a connection: the next one may be for another host.
            added = [("Connection", "close")]
            if upstream is None:
                target = (url.path or "/") + (f"?{url.query}" if url.query else "")
            elif upstream.authorization:
                added.append(("Proxy-Authorization", upstream.authorization))
            await origin.send(request.passed_on(f"{method} {target} HTTP/1.1", *added))
            await self._relay(client, origin, self._pass_answer_head)
        finally:
            await origin.close()

    async def _pass_answer_head(self, origin: _Stream, client: _Stream) -> None:
        answer = await origin.head()
        await client.send(answer.passed_on(answer.first, ("Connection", "close")))

    async def _connect(self, upstream: UpstreamProxy | None, host: str, port: int) -> _Stream:
        tls = None
        if upstream is not None:
            host, port = upstream.host, upstream.port
            tls = ssl.create_default_context() if upstream.tls else None
        place = f"{host}:{port}"
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                streams = await asyncio.open_connection(host, port, ssl=tls, limit=_HEAD_BYTES)
        except (OSError, TimeoutError) as error:
            if place not in self._unreachable:
                self._unreachable.add(place)
                self._say(f"{place} cannot be reached: {_reason(error)}")
            raise _RefusedError("502 Bad Gateway") from error
        self._unreachable.discard(place)
        return _Stream(*streams)

    async def _relay(
        self,
        client: _Stream,
        origin: _Stream,
        begin: Callable[[_Stream, _Stream], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        """Pass bytes on, both ways, until either side ends; only what comes from the origin is limited."""

        async def down() -> None:
            if begin is not None:
                await begin(origin, client)
            while chunk := await origin.reader.read(self._limit.chunk_bytes):
                await asyncio.sleep(self._limit.delay_s(len(chunk), self._loop.time()))
                await client.send(chunk)

        async def up() -> None:
            while chunk := await client.reader.read(_HEAD_BYTES):
                await origin.send(chunk)

        tasks = [asyncio.ensure_future(down()), asyncio.ensure_future(up())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def limit_downloads(
    bytes_per_s: int | None, variables: Mapping[str, str], say: Callable[[str], None]
) -> contextlib.AbstractContextManager[str | None]:
    """Limit what uv downloads, where a limit is given.

    Args:
        bytes_per_s: The limit, or None for none.
        variables: Of the machine, such as `os.environ`: proxies that they name are gone through.
        say: Told of each host that cannot be reached, and why.

    Returns:
        A context with the URL of the proxy that uv is to go through; None without a limit.

    Raises:
        ProxyError: The machine names a proxy that cannot be gone through.
    """
    if bytes_per_s is None:
        return contextlib.nullcontext()
    check_configuration(variables)
    return LimitingProxy(RateLimit(bytes_per_s), read_upstream_proxies(variables), say)


def proxy_variables(url: str) -> dict[str, str | None]:
    """Give the variables that make uv go through a proxy for every host.

    Args:
        url: The proxy.

    Returns:
        Values by name; None for a variable that must not be set.
    """
    variables: dict[str, str | None] = dict.fromkeys(PROXY_VARIABLES)
    return variables | {"HTTP_PROXY": url, "HTTPS_PROXY": url, "ALL_PROXY": url}


def _reason(error: OSError) -> str:
    """Say why a connection failed; asyncio puts its own words where the system's stand in other errors."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error) or "it does not answer"


async def _ask_for_tunnel(proxy: _Stream, upstream: UpstreamProxy, target: str) -> None:
    authorization = f"Proxy-Authorization: {upstream.authorization}\r\n" if upstream.authorization else ""
    await proxy.send(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n".encode("latin-1"))
    answer = await proxy.head()
    status = answer.first.partition(" ")[2]
    if not status.startswith("2"):
        raise _RefusedError(status or "502 Bad Gateway")


def _host_and_port(url: str, default: int) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _RefusedError("400 Bad Request") from error
    if not host:
        raise _RefusedError("400 Bad Request")
    return host, port or default
