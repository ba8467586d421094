"""Runs kubectl, and reads what the cluster has."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]
# What a busy machine or server needs beyond the time that is waited for something.
_PATIENCE_S = 240.0
# A call is repeated if the API server was busy, restarted, or lost what it knew: each call can be.
_TRIES = 5
_PASSING = re.compile(
    r"\((TooManyRequests|InternalError|ServiceUnavailable|Timeout|ServerTimeout|Expired|Conflict)\)"
    r"|etcdserver|i/o timeout|handshake timeout|connection (lost|reset|to the server \S+ was refused)"
    r"|unable to handle the request|unexpected EOF|: EOF"
)


class StepError(Exception):
    """A step of the conformance run has failed; the text says what was expected and what was found."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """The kubectl of one cluster.

    Attributes:
        program: Path of kubectl.
        kubeconfig: Its configuration.
        wait_s: The longest time to wait for something.
        pause_s: Time between two looks.
        validates: Whether the server validates what is applied; a scripted one cannot.
        environment: The environment of its processes.
        tries: How often a call is made that the API server could not answer.
    """

    program: str
    kubeconfig: Path
    wait_s: float
    pause_s: float
    validates: bool
    environment: Mapping[str, str]
    tries: int = _TRIES

    def run(self, *arguments: str, text: str = "") -> str:
        """Run kubectl, and return what it prints.

        Args:
            *arguments: Its arguments.
            text: Its standard input.

        Raises:
            StepError: It failed.
        """
        for number in range(1, self.tries + 1):
            code, printed, message = self._call(arguments, text)
            if not code:
                break
            if number == self.tries or _PASSING.search(message) is None:
                raise StepError(f"kubectl {' '.join(arguments)}: {message}")
            time.sleep(self.pause_s * 2 ** (number - 1))
        return printed

    def _call(self, arguments: Sequence[str], text: str) -> tuple[int, str, str]:
        """Run kubectl once; return its exit code, its output and its message."""
        timeout_s = self.wait_s + _PATIENCE_S
        try:
            done = subprocess.run(
                [self.program, f"--kubeconfig={self.kubeconfig}", *arguments],
                env=self.environment, input=text, capture_output=True, text=True, check=False,
                timeout=timeout_s,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise StepError(
                f"kubectl {' '.join(arguments)}: has not ended after {timeout_s:.0f} s"
            ) from error
        except OSError as error:
            raise StepError(f"{self.program}: cannot be started: {error.strerror}") from error
        return done.returncode, done.stdout, done.stderr.strip()

    def apply(self, manifests: list[Manifest]) -> None:
        """Apply objects server-side."""
        validation = "strict" if self.validates else "ignore"
        text = yaml.safe_dump_all(manifests)
        self.run("apply", "--server-side", f"--validate={validation}", "--filename=-", text=text)

    def get(self, *what: str) -> Manifest | None:
        """Return an object or a list of objects; None if there is none."""
        text = self.run("get", *what, "--output=json", "--ignore-not-found")
        found: Manifest | None = json.loads(text) if text.strip() else None
        return found

    def named(self, manifests: list[Manifest]) -> list[Manifest]:
        """Return the objects that have the names of some.

        Raises:
            StepError: One does not exist.
        """
        text = yaml.safe_dump_all(manifests)
        found = json.loads(self.run("get", "--filename=-", "--output=json", text=text))
        return list(found["items"])

    def items(self, *what: str) -> list[Manifest]:
        """Return the objects of a list."""
        found = self.get(*what)
        return [] if found is None else list(found["items"])

    def delete(self, *what: str) -> None:
        """Delete objects, and wait until they are gone."""
        self.run("delete", *what, "--ignore-not-found", f"--timeout={max(1, int(self.wait_s))}s")

    def wait(self, what: str, look: Callable[[], str]) -> None:
        """Wait until nothing is missing.

        Args:
            what: What is waited for.
            look: Returns what is missing; nothing when all is well.

        Raises:
            StepError: It took too long.
        """
        end_s = time.monotonic() + self.wait_s
        while missing := look():
            if time.monotonic() > end_s:
                raise StepError(f"{what}: not after {self.wait_s:.0f} s: {missing}")
            time.sleep(self.pause_s)
