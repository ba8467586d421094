"""The server of the probes, in a thread of its own: one request on each connection, then it is closed.

It is ours, as no server that was looked at bounds a whole request: their time-outs are between two bytes, so
that a byte now and then keeps a connection for ever; and at their bound they stop accepting, which shuts out
the probes as well (waitress), or have none (uvicorn, hypercorn, the standard library's). Here:

- a request, from its first byte to the last of its answer, has one deadline;
- there are never more connections than a bound, and a new one always gets in
  (`daemon/service/connections.py`);
- an answer that needs the prefix is made in a thread, one for all that asked while the one before was made:
  many who ask cost no more than one, and a disk that hangs keeps `/healthz` from nobody.
"""

import asyncio
import errno
import re
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial
from http import HTTPStatus

from daemon.errors import ListenError
from daemon.report.redaction import redact
from daemon.service.answers import Question, Response, plain, question_of, respond
from daemon.service.connections import Connections, Stage
from daemon.service.context import ServiceContext
from daemon.service.http_request import HeadReader, Request, RequestError

_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Za-z:.%_-]*)\]|(?P<host>[0-9A-Za-z._-]*)):(?P<port>[0-9]{1,5})")
_REQUEST_S = 10.0
_LAST_WORD_S = 1.0
_MOST_CONNECTIONS = 64
_BACKLOG = 256
_CHUNK_BYTES = 8_192
_UNREAD_BYTES = 1_000_000
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_EXHAUSTED_PAUSE_S = 0.2


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen.

    Attributes:
        host: A name or an address; empty for all of the machine's.
        port: TCP port; 0 for a free one.
    """

    host: str
    port: int


def parse_address(text: str) -> Address:
    """Read `HOST:PORT`, `:PORT` or `[ADDRESS]:PORT`.

    Raises:
        ValueError: It is none of these.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        raise ValueError(f"{text!r} is not HOST:PORT, such as 0.0.0.0:8080, :8080 or [::1]:8080")
    return Address(found["six"] if found["six"] is not None else found["host"], int(found["port"]))


class HttpServer:
    """The server.

    Args:
        context: The service that answers.
        address: Where to listen.
        request_s: How long a request may take, from its first byte to the last of its answer.
    """

    def __init__(self, context: ServiceContext, address: Address, request_s: float = _REQUEST_S) -> None:
        self._context = context
        self._request_s = request_s
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        try:
            self._socket = socket.create_server(
                (address.host, address.port),
                family=family,
                backlog=_BACKLOG,
                dualstack_ipv6=family == socket.AF_INET6 and socket.has_dualstack_ipv6(),
            )
        except (OSError, UnicodeError) as error:
            told = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise ListenError(
                f"--listen {address.host}:{address.port}: {told}; give an address of this "
                "machine and a port that nothing else listens on"
            ) from error
        self._socket.setblocking(False)
        self.address = Address(address.host, self._socket.getsockname()[1])
        self._connections = Connections(_MOST_CONNECTIONS)
        self._desk = _Desk(lambda question: respond(context, question))
        self._thread = threading.Thread(target=lambda: asyncio.run(self._accept()), name="http", daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(self._socket)
            except OSError as error:  # the client is gone already, or the process has no descriptor left
                if error.errno in _EXHAUSTED:
                    await asyncio.sleep(_EXHAUSTED_PAUSE_S)
                continue
            connection.setblocking(False)
            await self._connections.make_room()
            task = loop.create_task(self._serve(connection))
            task.add_done_callback(partial(_close, connection))
            self._connections.add(task, str(peer[0]))

    async def _serve(self, connection: socket.socket) -> None:
        """Answer the one request of a connection."""
        try:
            await self._converse(connection)
        except OSError:
            pass  # a client that went away is no news
        except Exception:
            # A fault to see; the other connections go on.
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
                        response = await self._desk.answer(response)
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


@dataclass(slots=True)
class _Desk:
    """Where questions are answered: one at a time of each, for all who asked before it was begun.

    Attributes:
        find: Finds an answer; may take long.
    """

    find: Callable[[Question], Response]
    _waiting: dict[Question, asyncio.Task[Response]] = field(default_factory=dict)
    _turns: dict[Question, asyncio.Lock] = field(default_factory=dict)
    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(4, thread_name_prefix="answer")  # as there are questions
    )

    async def answer(self, question: Question) -> Response:
        """Give an answer that was not begun before the question was asked."""
        task = self._waiting.get(question)
        if task is None:
            task = self._waiting[question] = asyncio.create_task(self._find(question))
        return await asyncio.shield(task)  # who goes away takes it from nobody else

    async def _find(self, question: Question) -> Response:
        async with self._turns.setdefault(question, asyncio.Lock()):
            del self._waiting[question]  # who asks from now on wants a newer answer
            return await asyncio.get_running_loop().run_in_executor(self._threads, self.find, question)


async def _read_request(connection: socket.socket) -> Request | None:
    """Read a request; None when the client went away before it had sent one."""
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
        "Connection: close",
    ]
    if response.allow:
        lines.append(f"Allow: {response.allow}")
    head = "".join(f"{line}\r\n" for line in lines) + "\r\n"
    return head.encode() + (response.body if with_body else b"")


def _close(connection: socket.socket, _task: asyncio.Task[None]) -> None:
    connection.close()


async def _close_gently(connection: socket.socket) -> None:
    """End the answer, and read what the client still sends: else a reset could overtake the answer."""
    loop = asyncio.get_running_loop()
    connection.shutdown(socket.SHUT_WR)
    unread = _UNREAD_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORD_S):
            while unread > 0 and (chunk := await loop.sock_recv(connection, _CHUNK_BYTES)):
                unread -= len(chunk)
