"""The two directions of a connection, and the heads of HTTP/1.1 messages on it (RFC 9112)."""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from typing import Self

MAX_HEAD_BYTES = 65_536
_HEAD_TIMEOUT_S = 60
_END = b"\r\n\r\n"
# Header fields that concern one connection are not passed to the next one.
_OF_A_CONNECTION = {
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "proxy-authenticate",
}


@dataclass(frozen=True, slots=True)
class Head:
    """The first line and the header fields of a request or an answer.

    Attributes:
        first: The request line or the status line.
        fields: Names and values, in their order.
    """

    first: str
    fields: tuple[tuple[str, str], ...]

    def find(self, name: str) -> str:
        """Return the value of a field, or an empty text.

        Args:
            name: The name, in lower case.
        """
        return next((value for key, value in self.fields if key.lower() == name), "")

    def passed_on(self, first: str, *added: tuple[str, str]) -> bytes:
        """Return the head as the next connection gets it.

        Args:
            first: Its first line.
            added: Further fields.
        """
        kept = [item for item in self.fields if item[0].lower() not in _OF_A_CONNECTION]
        lines = [first, *(f"{name}: {value}" for name, value in (*kept, *added)), "", ""]
        return "\r\n".join(lines).encode("latin-1")


@dataclass(frozen=True, slots=True)
class Stream:
    """A connection; a context manager, which closes it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, host: str, port: int, *, tls: bool) -> Self:
        """Connect.

        Args:
            host: Name or address.
            port: Port.
            tls: Whether to use TLS.

        Raises:
            OSError: The host cannot be reached.
        """
        context = ssl.create_default_context() if tls else None
        return cls(*await asyncio.open_connection(host, port, ssl=context, limit=MAX_HEAD_BYTES))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Send what is left to send, and close."""
        self.writer.close()
        try:
            with contextlib.suppress(OSError):
                await self.writer.wait_closed()
        except asyncio.CancelledError:
            self.reset()  # the other side does not read what is left
            raise

    async def head(self) -> Head:
        """Read the head of a message.

        Raises:
            OSError, EOFError, asyncio.LimitOverrunError: None arrives, or it is too long.
        """
        async with asyncio.timeout(_HEAD_TIMEOUT_S):
            text = (await self.reader.readuntil(_END)).decode("latin-1")
        first, *lines = text.removesuffix("\r\n\r\n").split("\r\n")
        fields = (line.partition(":")[::2] for line in lines)
        return Head(first, tuple((name.strip(), value.strip()) for name, value in fields))

    async def send(self, data: bytes) -> None:
        """Send bytes, and wait until there is room for more."""
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Reset the connection, so that the other side does not take a part for the whole."""
        self.writer.transport.abort()
