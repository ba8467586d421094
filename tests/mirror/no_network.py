"""Runs a program in a network namespace that has only loopback: `no_network.py PROGRAM ARGUMENT…`."""

import ctypes
import fcntl
import os
import socket
import struct
import sys

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP_RUNNING = 0x41
REFUSED = 77
_LIBC = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Make the namespace, and become the program; exit with 77 if the machine does not allow that."""
    if _LIBC.unshare(_CLONE_NEWNET) != 0:
        print(f"unshare(CLONE_NEWNET) says: {os.strerror(ctypes.get_errno())}", file=sys.stderr)
        sys.exit(REFUSED)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP_RUNNING))
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 (that is what it is for)


if __name__ == "__main__":
    main()
