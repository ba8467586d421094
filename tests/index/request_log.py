"""Records the requests and answers of an index."""

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True)
class Request:
    """One request and its answer.

    Attributes:
        method: HTTP method.
        path: Path that was asked for, percent-decoded, without a query.
        status: Status of the answer, 0 where the connection was cut before one.
        bytes_sent: Bytes of the body that were handed over to the network.
        size_bytes: Bytes of the body that the answer announced.
        range: The ``Range`` header, None where the whole was asked for.
    """

    method: str
    path: str
    status: int
    bytes_sent: int
    size_bytes: int
    range: str | None

    @property
    def filename(self) -> str:
        """Last part of the path, empty for a folder."""
        return "" if self.path.endswith("/") else PurePosixPath(self.path).name

    @property
    def is_wheel(self) -> bool:
        """True if the request was for a wheel, not for its metadata file."""
        return self.filename.endswith(".whl")

    @property
    def is_whole_wheel(self) -> bool:
        """True if the whole wheel was sent; a client that reads metadata requests ranges."""
        return (
            self.method == "GET"
            and self.is_wheel
            and self.range is None
            and self.status == 200
            and self.bytes_sent == self.size_bytes
        )


class RequestLog:
    """A list of requests that many threads may write and read.

    A request stands in it from its start, and its bytes are counted when they are handed over: what a client
    has received is in the log, however soon a test looks.
    """

    def __init__(self) -> None:
        self._requests: dict[int, Request] = {}
        self._numbers = itertools.count()
        self._changed = threading.Condition()

    def add(self, request: Request) -> int:
        """Append a request and return its number."""
        with self._changed:
            number = next(self._numbers)
            self._requests[number] = request
            self._changed.notify_all()
        return number

    def update(self, number: int, request: Request) -> None:
        """Put a later state of a request in the place of an earlier one, unless the log was cleared since."""
        with self._changed:
            if number in self._requests:
                self._requests[number] = request
                self._changed.notify_all()

    def clear(self) -> None:
        """Forget what was asked so far."""
        with self._changed:
            self._requests.clear()

    def requests(self) -> tuple[Request, ...]:
        """Return all requests, in the order in which they came."""
        with self._changed:
            return tuple(self._requests.values())

    def wheel_downloads(self) -> Counter[str]:
        """Return how many times each wheel was sent whole, by file name."""
        return Counter(request.filename for request in self.requests() if request.is_whole_wheel)

    def wheel_attempts(self) -> Counter[str]:
        """Return how many times each wheel was asked for as a whole, sent or not, by file name."""
        return Counter(
            request.filename
            for request in self.requests()
            if request.method == "GET" and request.is_wheel and request.range is None
        )

    def wheel_bytes(self) -> Counter[str]:
        """Return how many bytes of each wheel went out, ranges and broken answers included, by file name."""
        sent: Counter[str] = Counter()
        for request in self.requests():
            if request.is_wheel:
                sent[request.filename] += request.bytes_sent
        return sent

    def wait_for(self, condition: Callable[[tuple[Request, ...]], bool], timeout_s: float = 120.0) -> None:
        """Wait until the log fulfils a condition.

        Args:
            condition: Is called with all requests so far whenever there is a new one.
            timeout_s: How long to wait.

        Raises:
            TimeoutError: The condition was not fulfilled in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: condition(tuple(self._requests.values())), timeout_s):
                asked = list(self._requests.values())
                message = f"the index was not asked for it within {timeout_s} s, but for {asked}"
                raise TimeoutError(message)
