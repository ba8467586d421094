"""Limits the rate of uv's downloads by a proxy on loopback: uv has no such setting.

All uv processes of a daemon use one proxy, so the limit holds for their sum. Encrypted traffic stays
encrypted: `https` is a tunnel (CONNECT), and uv checks certificates and digests as without the proxy. A
connection that breaks, stalls or ends early does the same towards uv, which retries.
"""

import asyncio
import base64
import contextlib
import hmac
import os
import secrets
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import urlsplit

from daemon.download_limit.rate_limit import RateLimit
from daemon.download_limit.stream import MAX_HEAD_BYTES, Head, Stream
from daemon.download_limit.upstream_proxy import (
    UpstreamProxies,
    UpstreamProxy,
    check_configuration,
    read_upstream_proxies,
)

_HOST = "127.0.0.1"
_USER = "monobase"
_CONNECT_TIMEOUT_S = 20


class _RefusedError(Exception):
    """The proxy itself answers a request, with an error.

    Args:
        status: Status line of the answer, without the version.
    """

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


class LimitingProxy:
    """The proxy, in a thread of its own; a context manager, which returns the proxy's URL.

    It serves only those who know the password in its URL: other users of the machine cannot use it.

    Args:
        limit: The limit.
        upstream: The proxies that the machine's variables name.
        say: Called once for each host that cannot be reached, with the reason, which uv does not learn.
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
            asyncio.start_server(self._accept, _HOST, 0, limit=MAX_HEAD_BYTES)
        )
        self._port = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        return self.url

    def __exit__(self, *_: object) -> None:
        """Break all connections off, and stop."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        """The URL of the proxy, with the password."""
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
        async with Stream(reader, writer) as client:
            try:
                await self._serve(client)
            except _RefusedError as refused:
                head = Head(f"HTTP/1.1 {refused.status}", (("Content-Length", "0"),))
                with contextlib.suppress(OSError):
                    await client.send(head.passed_on(head.first, ("Connection", "close")))
            except (OSError, EOFError, asyncio.LimitOverrunError):
                client.reset()
            except asyncio.CancelledError:
                client.reset()
                raise

    async def _serve(self, client: Stream) -> None:
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

    async def _tunnel(self, client: Stream, target: str) -> None:
        host, port = _host_and_port(f"//{target}", 443)
        upstream = self._upstream.find("https", host)
        async with await self._connect(upstream, host, port) as origin:
            if upstream is not None:
                await _ask_for_tunnel(origin, upstream, target)
            await client.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await self._relay(client, origin)

    async def _forward(self, client: Stream, request: Head, method: str, target: str) -> None:
        host, port = _host_and_port(target, 80)
        url = urlsplit(target)
        if url.scheme != "http":
            raise _RefusedError("400 Bad Request")
        upstream = self._upstream.find("http", host)
        async with await self._connect(upstream, host, port) as origin:
            # One request for each connection: the next one may be for another host.
            added = [("Connection", "close")]
            if upstream is None:
                target = (url.path or "/") + (f"?{url.query}" if url.query else "")
            elif upstream.authorization:
                added.append(("Proxy-Authorization", upstream.authorization))
            await origin.send(request.passed_on(f"{method} {target} HTTP/1.1", *added))
            await self._relay(client, origin, _pass_answer_head)

    async def _connect(self, upstream: UpstreamProxy | None, host: str, port: int) -> Stream:
        tls = False
        if upstream is not None:
            host, port, tls = upstream.host, upstream.port, upstream.tls
        place = f"{host}:{port}"
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                stream = await Stream.open(host, port, tls=tls)
        except OSError as error:
            if place not in self._unreachable:
                self._unreachable.add(place)
                self._say(f"{place} cannot be reached: {_reason(error)}")
            raise _RefusedError("502 Bad Gateway") from error
        self._unreachable.discard(place)
        return stream

    async def _relay(
        self,
        client: Stream,
        origin: Stream,
        begin: Callable[[Stream, Stream], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        """Pass bytes on, both ways, until either side ends; limit only what comes from the origin."""

        async def down() -> None:
            if begin is not None:
                await begin(origin, client)
            while chunk := await origin.reader.read(self._limit.chunk_bytes):
                await asyncio.sleep(self._limit.delay_s(len(chunk), self._loop.time()))
                await client.send(chunk)

        async def up() -> None:
            while chunk := await client.reader.read(MAX_HEAD_BYTES):
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
    """Limit the rate of uv's downloads, if a limit is given.

    Args:
        bytes_per_s: The limit; None for no limit.
        variables: The machine's environment variables: the limiting proxy uses the proxies that they name.
        say: Called for each host that cannot be reached, with the reason.

    Returns:
        A context with the URL of the proxy that uv has to use; None without a limit.

    Raises:
        ProxyError: The machine names a proxy that cannot be used.
    """
    if bytes_per_s is None:
        return contextlib.nullcontext()
    check_configuration(variables)
    return LimitingProxy(RateLimit(bytes_per_s), read_upstream_proxies(variables), say)


def _reason(error: OSError) -> str:
    """Return why a connection failed, in the system's words: asyncio replaces them in `strerror`."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error) or "it does not answer"


async def _pass_answer_head(origin: Stream, client: Stream) -> None:
    answer = await origin.head()
    await client.send(answer.passed_on(answer.first, ("Connection", "close")))


async def _ask_for_tunnel(proxy: Stream, upstream: UpstreamProxy, target: str) -> None:
    authorization = f"Proxy-Authorization: {upstream.authorization}\r\n" if upstream.authorization else ""
    await proxy.send(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n".encode("latin-1"))
    status = (await proxy.head()).first.partition(" ")[2]
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
