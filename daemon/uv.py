"""Running uv: where its program is, what it is told every time, and what its failures mean here."""

import hashlib
import json
import os
import re
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from daemon.child_process import run_to_its_end, signal_name
from daemon.errors import (
    DiskError,
    IndexAccessError,
    IndexUnreachableError,
    NotOnIndexError,
    ProgramKilledError,
    WheelContentError,
)
from daemon.limiting_proxy import proxy_variables
from daemon.prefix import Prefix
from daemon.system_error import explain_text, full_disk_message
from daemon.uv_locks import TIMEOUT_S, TRIES, remove_uv_locks, waited_for_a_lock
from gens.errors import MonobaseError

_INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL")
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


@dataclass(frozen=True, slots=True)
class UvOutput:
    """What a uv that ended well has printed."""

    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Uv:
    """How uv is run for one prefix.

    Attributes:
        program: The uv binary.
        prefix: Where its cache and interpreters are.
        index_url: Default index, or None for what uv's own configuration says.
        link_mode: uv's `--link-mode`: `hardlink`, or `copy` where the file system has no hard links.
        proxy_url: The proxy that uv goes through for every host; None for what the machine's variables say.
        inherit: Descriptors that children keep: the writer's lock.
        running: The processes that run now, so that an interrupt can end them.
    """

    program: Path
    prefix: Prefix
    index_url: str | None = None
    link_mode: str = "hardlink"
    inherit: tuple[int, ...] = ()
    proxy_url: str | None = None
    running: set["subprocess.Popen[bytes]"] = field(default_factory=set)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def run(self, *arguments: str | Path, variables: Mapping[str, str] | None = None) -> UvOutput:
        """Run uv to its end.

        Args:
            arguments: Its command line.
            variables: Environment variables beside the ones that every call gets.

        Returns:
            What it printed.

        Raises:
            DiskError: The disk is full, read-only or failing.
            WheelContentError: A wheel is not what its hash says, or is no wheel.
            IndexAccessError: An index did not answer, or lacks something.
        """
        command = [str(self.program), *map(str, arguments)]
        environment = dict(os.environ)
        environment.update(
            UV_CACHE_DIR=str(self.prefix.uv_cache),
            UV_PYTHON_INSTALL_DIR=str(self.prefix.uv_python),
            UV_LINK_MODE=self.link_mode,
            UV_NO_PROGRESS="1",
            UV_NO_WRAP="1",
            NO_COLOR="1",
        )
        # Settings that would change what a lock means; index, mirror, proxy and time-out settings stay.
        for name in (
            "UV_EXCLUDE_NEWER", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_COMPILE_BYTECODE", "UV_TORCH_BACKEND",
            "UV_NO_BINARY", "UV_TARGET", "UV_SYSTEM_PYTHON", "UV_PYTHON", "UV_NO_CACHE", "UV_OFFLINE",
            "UV_NO_VERIFY_HASHES", "UV_PRERELEASE", "UV_RESOLUTION", "VIRTUAL_ENV", "PYTHONPATH",
            "PYTHONHOME",
        ):  # fmt: skip
            environment.pop(name, None)
        if "--config-file" in command:
            # The configuration of the call names its one index; these would come before it.
            for name in ("UV_NO_CONFIG", "UV_CONFIG_FILE", *_INDEX_VARIABLES):
                environment.pop(name, None)
        if self.proxy_url is not None:
            for name, value in proxy_variables(self.proxy_url).items():
                environment.pop(name, None)
                if value is not None:
                    environment[name] = value
        environment.update(variables or {})
        environment["UV_LOCK_TIMEOUT"] = str(TIMEOUT_S)
        for _ in range(TRIES):
            remove_uv_locks(self.prefix)
            ended = run_to_its_end(
                command,
                environment=environment,
                directory=self.prefix.root,  # where no pyproject.toml of a caller is found
                descriptors=self.inherit,
                running=self._note,
            )
            if ended.code == 0 or not waited_for_a_lock(ended.stderr):
                break
        if ended.code != 0:
            raise failure_of(command, ended.code, ended.stderr, self.prefix)
        return UvOutput(ended.stdout, ended.stderr)

    def _note(self, process: "subprocess.Popen[bytes]", runs: bool) -> None:
        with self._guard:
            if runs:
                self.running.add(process)
            else:
                self.running.discard(process)

    def end_all(self) -> None:
        """End the processes that run now, so that the threads that wait for them come back."""
        with self._guard:
            for process in self.running:
                process.terminate()

    def index_options(self, index_url: str | None, config_directory: Path) -> list[str]:
        """Give the options that name the index of a call, and make uv cache what the index serves.

        An index that answers `Cache-Control: no-store` would defeat uv's cache: each environment would be
        downloaded and unpacked anew. The wheels are pinned by content, so keeping them is always right.

        Args:
            index_url: Index of the wheels of the call; None for the default index.
            config_directory: Where a uv configuration for the call may be written.

        Returns:
            Command-line options; none when uv's own configuration names the index.
        """
        url = index_url or self.default_index_url
        if url is None:
            return []
        path = config_directory / f"uv-{hashlib.sha256(url.encode()).hexdigest()[:16]}.toml"
        text = (
            "[[index]]\n"
            f"url = {json.dumps(url)}\n"
            "default = true\n"
            'cache-control = { api = "no-cache", files = "max-age=365000000, immutable" }\n'
        )
        if not path.exists():
            path.touch(0o600)  # an URL may hold a password
            path.write_text(text)
        # A build's index serves what its name says, and no further index of the machine may shadow it.
        return ["--config-file", str(path)]

    @property
    def default_index_url(self) -> str | None:
        """The default index when a flag or one of uv's variables names it."""
        if self.index_url is not None:
            return self.index_url
        return next((os.environ[name] for name in _INDEX_VARIABLES if os.environ.get(name)), None)


def find_uv(given: Path | None) -> Path:
    """Find the uv binary: the given one, or the one of the `uv` package.

    Args:
        given: Path from a flag, or None.

    Raises:
        MonobaseError: There is none.
    """
    if given is not None:
        if not os.access(given, os.X_OK):
            raise MonobaseError(f"{given}: is no executable; give uv's binary with --uv")
        return given
    try:
        import uv  # noqa: PLC0415 (only when no path is given; an image may hold the binary alone)

        return Path(uv.find_uv_bin())
    except (ImportError, FileNotFoundError) as error:
        raise MonobaseError(f"uv is not installed ({error}); give its binary with --uv") from error


def failure_of(command: Sequence[str], code: int, stderr: str, prefix: Prefix) -> MonobaseError:
    """Turn a failure of uv into the error of ours that says what to do.

    Args:
        command: What ran.
        code: Its exit code, negative for a signal.
        stderr: What it said.
        prefix: Where it wrote.

    Returns:
        The error, to be raised.
    """
    said = stderr.strip()
    lowered = said.lower()
    if "no space left on device" in lowered or "os error 28" in lowered or "disk quota" in lowered:
        return DiskError(f"{full_disk_message(prefix.root)}; uv said: {last_lines(said)}")
    if "read-only file system" in lowered or "permission denied (os error 13)" in lowered:
        return DiskError(f"{prefix.root}: cannot be written to; uv said: {last_lines(said)}")
    refused = explain_text(said, prefix.root)
    if refused is not None:
        return type(refused)(f"{refused}; uv said: {last_lines(said)}")
    mismatch = _MISMATCH.search(said)
    if mismatch is not None:
        return WheelContentError(
            f"{mismatch['wheel']}: the index serves another file than its lock names: "
            f"expected sha256:{mismatch['expected']}, found sha256:{mismatch['found']}; "
            "correct the index, or find out who changed the wheel"
        )
    if _MALFORMED.search(said) and not _NETWORK.search(said):
        return WheelContentError(f"a wheel cannot be unpacked: {last_lines(said)}")
    if code < 0:
        return ProgramKilledError(
            f"uv was ended by {signal_name(code)}: {' '.join(command)}; when nobody did that, the machine or "
            f"the container had too little memory (the kernel's log says so). {last_lines(said)}".rstrip(". ")
        )
    if _UNREACHABLE.search(said):
        return IndexUnreachableError(f"the index cannot be reached: {last_lines(said)}")
    if "No solution found" in said:
        return NotOnIndexError(f"the index lacks what a lock names: {last_lines(said)}")
    return IndexAccessError(f"uv failed: {last_lines(said)}")


def last_lines(text: str, count: int = 12) -> str:
    """Give the end of an output, from where it tells an error, for a message."""
    start = max(text.find("error: "), 0)
    return "\n".join(text[start:].removeprefix("error: ").strip().splitlines()[-count:])
