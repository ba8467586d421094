"""Serves the probes in a thread of its own: one request for each connection.

No slow, silent or malicious client keeps a probe from its answer (docs/decisions/http-server.md):

- A request has one deadline, from its first byte to the last byte of its answer.
- The number of connections has a limit, and a new one is always accepted (`connections.py`).
- Answers that read the prefix are made in threads and shared (`shared_answers.py`), so that neither many
  clients nor a hanging disk delay `/healthz`.
"""

import asyncio
import errno
import socket
import sys
import threading
import traceback
from contextlib import suppress
from email.utils import formatdate
from functools import partial
from http import HTTPStatus

from daemon.service.address import Address, listen
from daemon.service.answers import Question, Response, plain, question_of, respond
from daemon.service.connections import Connections, Stage
from daemon.service.context import ServiceContext
from daemon.service.http_request import HeadReader, Request, RequestError
from daemon.service.shared_answers import SharedAnswers
from gens.redaction import redact

_REQUEST_S = 10.0
_LAST_WORD_S = 1.0
_MOST_CONNECTIONS = 64
_CHUNK_BYTES = 8_192
_UNREAD_BYTES = 1_000_000
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_EXHAUSTED_PAUSE_S = 0.2


class HttpServer:
    """Serves a service at an address.

    Args:
        context: The service that answers.
        address: Where to listen; port 0 for a free one.
        request_s: How long a request may take, from its first byte to the last of its answer.
    """

    def __init__(self, context: ServiceContext, address: Address, request_s: float = _REQUEST_S) -> None:
        self._context = context
        self._request_s = request_s
        self._socket = listen(address)
        self.address = Address(address.host, self._socket.getsockname()[1])
        self._connections = Connections(_MOST_CONNECTIONS)
        self._answers = SharedAnswers(lambda question: respond(context, question))
        self._thread = threading.Thread(target=lambda: asyncio.run(self._accept()), name="http", daemon=True)

    def start(self) -> None:
        """Start to answer."""
        self._thread.start()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(self._socket)
            except OSError as error:  # the client is gone, or the process has no file descriptor left
                if error.errno in _EXHAUSTED:
                    await asyncio.sleep(_EXHAUSTED_PAUSE_S)
                continue
            connection.setblocking(False)
            await self._connections.make_room()
            task = loop.create_task(self._serve(connection))
            task.add_done_callback(partial(_close, connection))
            self._connections.add(task, str(peer[0]))

    async def _serve(self, connection: socket.socket) -> None:
        """Answer the request of a connection; a failure leaves the other connections alone."""
        try:
            await self._converse(connection)
        except OSError:
            pass  # the client went away
        except Exception:
            print(redact(traceback.format_exc()), file=sys.stderr)

    async def _converse(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        method = ""
        late = plain(HTTPStatus.REQUEST_TIMEOUT, f"no request came within {self._request_s:g} s\n")
        begun = False
        try:
            async with asyncio.timeout(self._request_s):
                try:
                    request = await _read_request(connection)
                    if request is None:
                        return
                    self._connections.reach(Stage.ANSWERING)
                    method = request.method
                    late = plain(
                        HTTPStatus.SERVICE_UNAVAILABLE, f"no answer was found within {self._request_s:g} s\n"
                    )
                    response = question_of(self._context, request)
                    if isinstance(response, Question):
                        response = await self._answers.answer(response)
                except RequestError as error:
                    response = plain(error.status, error.text)
                begun = True
                await loop.sock_sendall(connection, _message(response, with_body=method != "HEAD"))
        except TimeoutError:
            if not begun:
                with suppress(BlockingIOError):
                    connection.send(_message(late, with_body=method != "HEAD"))
        self._connections.reach(Stage.ANSWERED)
        await _close_gently(connection)


async def _read_request(connection: socket.socket) -> Request | None:
    """Return the request; None if the client went away before it had sent one."""
    loop = asyncio.get_running_loop()
    reader = HeadReader()
    while chunk := await loop.sock_recv(connection, _CHUNK_BYTES):
        request = reader.feed(chunk)
        if request is not None:
            return request
    return None


def _message(response: Response, *, with_body: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {response.status.value} {response.status.phrase}",
        "Server: monobase",
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
    ]
    if response.allow:
        lines.append(f"Allow: {response.allow}")
    if response.policy:
        lines.append(f"Content-Security-Policy: {response.policy}")
    head = "".join(f"{line}\r\n" for line in lines) + "\r\n"
    return head.encode() + (response.body if with_body else b"")


def _close(connection: socket.socket, _task: asyncio.Task[None]) -> None:
    connection.close()


async def _close_gently(connection: socket.socket) -> None:
    """End the answer, and read what the client still sends: else a reset can overtake the answer."""
    loop = asyncio.get_running_loop()
    connection.shutdown(socket.SHUT_WR)
    unread = _UNREAD_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORD_S):
            while unread > 0 and (chunk := await loop.sock_recv(connection, _CHUNK_BYTES)):
                unread -= len(chunk)
