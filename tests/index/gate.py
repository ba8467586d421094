"""Gates, which hold answers of an index until a test opens them.

A test that needs an install to be in its downloads waits for the gate to be reached, does its work, and opens
the gate. A delay in its place would be over too early on a busy machine.
"""

import fnmatch
import threading


class Gate:
    """Holds the answers to some requests until it is opened.

    Args:
        path: Pattern (as of a shell) of the percent-decoded paths whose answers it holds.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._reached = threading.Event()
        self._opened = threading.Event()

    def hold(self, path: str) -> bool:
        """Wait until the gate is open, if the path is one that it is for; return whether it was not open."""
        if not fnmatch.fnmatchcase(path, self._path) or self._opened.is_set():
            return False
        self._reached.set()
        self._opened.wait()
        return True

    def wait_reached(self, timeout_s: float = 120.0) -> None:
        """Wait until a request has come whose answer the gate holds.

        Args:
            timeout_s: How long to wait.

        Raises:
            TimeoutError: No such request came in time.
        """
        if not self._reached.wait(timeout_s):
            raise TimeoutError(f"the index was not asked for {self._path} within {timeout_s} s")

    def is_reached(self) -> bool:
        """Return whether a request has come whose answer the gate holds, or held."""
        return self._reached.is_set()

    def open(self) -> None:
        """Release all answers that it holds, and hold no more."""
        self._opened.set()
