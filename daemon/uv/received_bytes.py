"""Counts the bytes that a process has received over TCP, by the kernel's figures (sock_diag(7)).

uv writes a wheel in pieces of up to a megabyte and prints nothing meanwhile: neither its files nor its output
show whether an index is slow or silent.
"""

import os
import re
import socket
import struct
from pathlib import Path

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_DUMP_REQUEST = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_ERROR, _DONE = 2, 3
_INET_DIAG_INFO = 2
_ALL_STATES = 0xFFF
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBBI48x")
_ATTRIBUTE = struct.Struct("=HH")
_INODE_AT = _HEADER.size + 68
_ATTRIBUTES_AT = _HEADER.size + 72
_BYTES_RECEIVED = struct.Struct("=Q")
_BYTES_RECEIVED_AT = 128  # of struct tcp_info
_SOCKET = re.compile(r"socket:\[(\d+)\]")
_BUFFER_BYTES = 1 << 18


class ReceivedBytes:
    """The count of one process; a connection that it has closed counts as last seen."""

    def __init__(self, pid: int) -> None:
        self._descriptors = Path(f"/proc/{pid}/fd")
        self._by_socket: dict[int, int] = {}

    def total(self) -> int | None:
        """Return the sum so far; None if the kernel does not report it."""
        try:
            mine = _socket_inodes(self._descriptors)
            if mine:
                for family in (socket.AF_INET, socket.AF_INET6):
                    self._by_socket |= {
                        inode: count for inode, count in _received(family).items() if inode in mine
                    }
        except (OSError, struct.error):
            return None
        return sum(self._by_socket.values())


def _socket_inodes(directory: Path) -> set[int]:
    inodes = set()
    for entry in os.scandir(directory):
        try:
            found = _SOCKET.fullmatch(os.readlink(entry.path))  # noqa: PTH115 (the text is meant, not a path)
        except FileNotFoundError:
            continue  # closed meanwhile
        if found is not None:
            inodes.add(int(found[1]))
    return inodes


def _received(family: int) -> dict[int, int]:
    """Return the bytes that each TCP socket of the network namespace has received, by inode."""
    request = _REQUEST.pack(family, socket.IPPROTO_TCP, 1 << (_INET_DIAG_INFO - 1), 0, _ALL_STATES)
    counts: dict[int, int] = {}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(5)
        size = _HEADER.size + len(request)
        kernel.send(_HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _DUMP_REQUEST, 1, 0) + request)
        while True:
            data = kernel.recv(_BUFFER_BYTES)
            while data:
                length, kind, *_ = _HEADER.unpack_from(data)
                if kind == _ERROR:
                    raise OSError("the kernel does not list sockets")
                if kind == _DONE:
                    return counts
                counts |= _count_of(data[:length])
                data = data[(length + 3) & ~3 :]


def _count_of(message: bytes) -> dict[int, int]:
    (inode,) = struct.unpack_from("=I", message, _INODE_AT)
    at = _ATTRIBUTES_AT
    while at + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        if kind == _INET_DIAG_INFO:
            return {inode: _BYTES_RECEIVED.unpack_from(message, at + _ATTRIBUTE.size + _BYTES_RECEIVED_AT)[0]}
        at += max((length + 3) & ~3, _ATTRIBUTE.size)
    return {}
