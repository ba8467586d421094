"""Turns a failure of uv into an error of Monobase that says what to do."""

import re
from collections.abc import Sequence

from daemon.errors import (
    DiskError,
    IndexAccessError,
    IndexUnreachableError,
    NotOnIndexError,
    ProgramKilledError,
    UvConfigurationError,
    WheelContentError,
)
from daemon.host.child_process import signal_name
from daemon.host.system_error import explain_text, full_disk_message
from daemon.prefix.prefix import Prefix
from gens.errors import MonobaseError
from gens.redaction import redact

_LINE_CHARACTERS = 500
_MISMATCH = re.compile(
    r"Hash mismatch for `(?P<wheel>[^`]+)`\s+"
    r"Expected:\s+sha256:(?P<expected>\w+)\s+Computed:\s+sha256:(?P<found>\w+)"
)
# A gateway says so for the index: our own for http, where a limit is set.
_UNREACHABLE = re.compile(
    r"client error \(Connect\)|dns error|Network is unreachable|No route to host|502 Bad Gateway"
)
_MALFORMED = re.compile(
    r"invalid zip|Failed to read zip|Invalid zip|end of central directory|RECORD file|failed to extract|"
    r"dist-info/RECORD`: No such file|"
    r"Failed to extract|Failed to unzip|The wheel is invalid|Failed to install:",
    re.IGNORECASE,
)
# uv unpacks while it downloads: an end of the network is an end of the archive to it.
_NETWORK = re.compile(
    r"due to network timeout|UV_HTTP_TIMEOUT|error sending request|request or response body"
)
_MISCONFIGURED = re.compile(
    r"Failed to parse: `?/proc/self/fd/|Failed to parse environment variable|error: invalid value '"
)


def failure_of(
    command: Sequence[str], code: int, stderr: str, prefix: Prefix, sources: Sequence[str] = ()
) -> MonobaseError:
    """Return the error that stands for a failure of uv.

    Args:
        command: The command line.
        code: Its exit code, negative for a signal.
        stderr: Its standard error.
        prefix: The prefix that it wrote to.
        sources: The files of the machine that its configuration was made from.

    Returns:
        The error, to be raised.
    """
    said = redact(stderr.strip())
    failure = _of_configuration(said, sources) or _of_machine(said, prefix) or _of_wheel(said)
    if failure is not None:
        return failure
    if code < 0:
        return ProgramKilledError(
            f"uv was ended by {signal_name(code)}: {' '.join(command)}; when nobody did that, the machine or "
            f"the container had too little memory (the kernel's log says so). {last_lines(said)}".rstrip(". ")
        )
    return _of_index(said)


def last_lines(text: str, count: int = 12) -> str:
    """Return the end of an output, from its error on, for a message."""
    start = max(text.find("error: "), 0)
    lines = redact(text[start:]).removeprefix("error: ").strip().splitlines()[-count:]
    return "\n".join(line[:_LINE_CHARACTERS] for line in lines)


def _of_configuration(said: str, sources: Sequence[str]) -> UvConfigurationError | None:
    if not _MISCONFIGURED.search(said):
        return None
    named = " and ".join([*sources, "the environment"])
    return UvConfigurationError(
        f"uv refuses a setting that {named} gives it: {last_lines(said)}; correct it there"
    )


def _of_machine(said: str, prefix: Prefix) -> MonobaseError | None:
    lowered = said.lower()
    if "no space left on device" in lowered or "os error 28" in lowered or "disk quota" in lowered:
        return DiskError(f"{full_disk_message(prefix.root)}; uv said: {last_lines(said)}")
    if "read-only file system" in lowered or "permission denied (os error 13)" in lowered:
        return DiskError(f"{prefix.root}: cannot be written to; uv said: {last_lines(said)}")
    refused = explain_text(said, prefix.root)
    return None if refused is None else type(refused)(f"{refused}; uv said: {last_lines(said)}")


def _of_wheel(said: str) -> WheelContentError | None:
    mismatch = _MISMATCH.search(said)
    if mismatch is not None:
        return WheelContentError(
            f"{mismatch['wheel']}: the index serves another file than its lock names: "
            f"expected sha256:{mismatch['expected']}, found sha256:{mismatch['found']}; "
            "correct the index, or find out who changed the wheel"
        )
    if _MALFORMED.search(said) and not _NETWORK.search(said):
        return WheelContentError(f"a wheel cannot be unpacked: {last_lines(said)}")
    return None


def _of_index(said: str) -> IndexAccessError:
    if _UNREACHABLE.search(said):
        return IndexUnreachableError(f"the index cannot be reached: {last_lines(said)}")
    if "No solution found" in said:
        return NotOnIndexError(f"the index lacks what a lock names: {last_lines(said)}")
    return IndexAccessError(f"uv failed: {last_lines(said)}")
