"""The address that the service listens at."""

import re
import socket
from dataclasses import dataclass

from daemon.errors import ListenError

_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Za-z:.%_-]*)\]|(?P<host>[0-9A-Za-z._-]*)):(?P<port>[0-9]{1,5})")
_BACKLOG = 256


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port.

    Attributes:
        host: A name or an IP address; empty for all addresses of the machine.
        port: TCP port; 0 for a free one.
    """

    host: str
    port: int


def parse_address(text: str) -> Address:
    """Parse `HOST:PORT`, `:PORT` or `[ADDRESS]:PORT`.

    Raises:
        ValueError: The text is none of these.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        raise ValueError(f"{text!r} is not HOST:PORT, such as 0.0.0.0:8080, :8080 or [::1]:8080")
    return Address(found["six"] if found["six"] is not None else found["host"], int(found["port"]))


def listen(address: Address) -> socket.socket:
    """Open a socket that listens at an address and does not block.

    Raises:
        ListenError: The address is not of this machine, or something else listens there.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listening = socket.create_server(
            (address.host, address.port),
            family=family,
            backlog=_BACKLOG,
            dualstack_ipv6=family == socket.AF_INET6 and socket.has_dualstack_ipv6(),
        )
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ListenError(
            f"--listen {address.host}:{address.port}: {reason}; give an address of this "
            "machine and a port that nothing else listens on"
        ) from error
    listening.setblocking(False)
    return listening
