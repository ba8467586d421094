"""A server and nodes as network namespaces of this machine: a bridge between them, a limit at the server.

Needs root, `ip` and `tc`. The namespaces are this program's own and go away at the end; nothing in them
reaches, or is reached from, anything else.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import click

SERVER = "10.77.0.1"
_CARD = "eth0"
_BURST_BYTES = 65_536
# Long enough that many connections at once lose no packet, which would be sent, and counted, again.
_QUEUE = "2s"
_NO_LIMIT = 10_000_000_000


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The namespaces.

    Attributes:
        server: Name of that of the server.
        nodes: Names of those of the nodes.
    """

    server: str
    nodes: tuple[str, ...]

    def limit(self, bits_per_s: int | None) -> None:
        """Limit what the server sends, and count from zero."""
        self._tc("qdisc", "del", "dev", _CARD, "root", may_fail=True)
        shape = ("rate", f"{bits_per_s or _NO_LIMIT}bit", "burst", f"{_BURST_BYTES}", "latency", _QUEUE)
        self._tc("qdisc", "add", "dev", _CARD, "root", "handle", "1:", "tbf", *shape)

    def sent_bytes(self) -> int:
        """Return the bytes that the server has sent since `limit`, with all headers."""
        done = _run("tc", "-n", self.server, "-s", "-j", "qdisc", "show", "dev", _CARD)
        (root,) = [each for each in json.loads(done) if each.get("root")]
        return int(root["bytes"])

    def _tc(self, *arguments: str, may_fail: bool = False) -> None:
        _run("tc", "-n", self.server, *arguments, may_fail=may_fail)


def inside(namespace: str, command: Sequence[str]) -> list[str]:
    """Return the command line that runs a command in a namespace."""
    return ["ip", "netns", "exec", namespace, *command]


@contextmanager
def network(count: int) -> Iterator[Namespaces]:
    """Make the namespaces of a server and so many nodes, until the end of the block.

    Raises:
        click.ClickException: This machine allows no namespaces, or lacks a program.
    """
    stem = f"mbf{os.getpid()}"
    hub, server = f"{stem}h", f"{stem}s"
    nodes = tuple(f"{stem}n{number}" for number in range(count))
    made: list[str] = []
    try:
        for name in (hub, server, *nodes):
            _run("ip", "netns", "add", name)
            made.append(name)
            _run("ip", "-n", name, "link", "set", "lo", "up")
        _run("ip", "-n", hub, "link", "add", "br0", "type", "bridge")
        _run("ip", "-n", hub, "link", "set", "br0", "up")
        for number, name in enumerate((server, *nodes)):
            address = SERVER if name == server else f"10.77.{1 + number // 250}.{1 + number % 250}"
            _connect(hub, name, f"v{number}", address)
        yield Namespaces(server, nodes)
    finally:
        for name in made:
            _run("ip", "netns", "del", name, may_fail=True)


def _connect(hub: str, name: str, port: str, address: str) -> None:
    _run("ip", "-n", hub, "link", "add", port, "type", "veth", "peer", "name", _CARD, "netns", name)
    _run("ip", "-n", hub, "link", "set", port, "master", "br0", "up")
    _run("ip", "-n", name, "address", "add", f"{address}/16", "dev", _CARD)
    _run("ip", "-n", name, "link", "set", _CARD, "up")


def _run(*command: str, may_fail: bool = False) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        raise click.ClickException(f"{command[0]}: is not installed; install iproute2") from None
    if done.returncode and not may_fail:
        raise click.ClickException(f"`{' '.join(command)}` failed: {done.stderr.strip()}; run it as root")
    return done.stdout
