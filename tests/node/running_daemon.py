"""The service as a real process: its log, its answers and its end."""

import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PATIENCE_S = 120.0


@dataclass(slots=True)
class Daemon:
    """A daemon that runs.

    Attributes:
        process: Its process.
        log: The file of its standard error, an object a line.
    """

    process: subprocess.Popen[bytes]
    log: Path
    port: int | None = None

    def entries(self) -> list[dict[str, Any]]:
        """Return its log entries."""
        whole = self.log.read_text().rpartition("\n")[0]  # the last line may be half written
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def said(self, text: str) -> bool:
        """Return whether its log contains a text."""
        return any(text in json.dumps(entry) for entry in self.entries())

    def wait_until(self, what: Callable[[], bool], patience_s: float = _PATIENCE_S) -> None:
        """Wait until something holds, as long as the daemon lives."""
        end = time.monotonic() + patience_s
        while not what():
            if self.process.poll() is not None:
                raise AssertionError(f"the daemon ended:\n{self.log.read_text()}")
            if time.monotonic() > end:
                raise AssertionError(f"never came:\n{self.log.read_text()}")
            time.sleep(0.02)

    def get(self, path: str, accept: str = "*/*") -> tuple[int, str]:
        """Send a GET request; return status and body."""
        if self.port is None:
            self.wait_until(lambda: any("address" in entry for entry in self.entries()))
            address = next(entry["address"] for entry in self.entries() if "address" in entry)
            self.port = int(address.rpartition(":")[2])
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"Accept": accept})
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE_S) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def ready(self) -> bool:
        """Return whether `/readyz` answers 200."""
        return self.get("/readyz")[0] == 200

    def wait_ready(self) -> None:
        """Wait until it is ready."""
        self.wait_until(self.ready)

    def metric(self, name: str) -> float:
        """Return the value of a metric, named with its labels as in the exposition."""
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(f"{name} "):
                return float(line.rpartition(" ")[2])
        raise AssertionError(f"there is no metric {name}")

    def end(self, number: int = signal.SIGTERM) -> None:
        """Stop it: an end that waits for something that does not come fails."""
        self.process.send_signal(number)
        self.process.wait(timeout=_PATIENCE_S)
