"""Running uv: where its program is, what it is told every time, and what its failures mean here."""

import functools
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO

from daemon.errors import (
    DiskError,
    IndexAccessError,
    IndexUnreachableError,
    MachineError,
    NotOnIndexError,
    ProgramKilledError,
    SlowIndexError,
    UvConfigurationError,
    WheelContentError,
)
from daemon.host.child_process import run_to_its_end, signal_name
from daemon.host.system_error import explain_text, full_disk_message
from daemon.prefix.prefix import Prefix
from daemon.prefix.uv_locks import TIMEOUT_S, TRIES, remove_uv_locks, waited_for_a_lock
from daemon.report.redaction import learn, redact
from daemon.uv.configuration import UvConfiguration, read_uv_configuration
from daemon.uv.least_rate import LeastRate, RateWatch, Slowness
from daemon.uv.received_bytes import ReceivedBytes
from daemon.uv.variables import passed_on
from gens.errors import MonobaseError

_KEPT_BYTES = 65_536  # of each end of what uv says; it may say anything, and as much as it likes
_LOG_BYTES = 64 * 1024 * 1024
_LINE_CHARACTERS = 500
_LOOK_S = 1.0
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


@dataclass(frozen=True, slots=True)
class UvOutput:
    """What a uv that ended well has printed."""

    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Downloads:
    """How uv downloads, where an operator decides it.

    Attributes:
        concurrent: How many wheels one uv downloads at once; None for uv's own choice.
        python_mirror: Where it downloads interpreters from; None for what the machine says.
        least_rate: How slow a download may be; None for as slow as it likes.
    """

    concurrent: int | None = None
    python_mirror: str | None = None
    least_rate: LeastRate | None = None


@dataclass(frozen=True)
class Uv:
    """How uv is run for one prefix.

    Attributes:
        program: The uv binary.
        prefix: Where its cache and interpreters are.
        index_url: Default index, or None for what uv's own configuration says.
        link_mode: uv's `--link-mode`: `hardlink`, or `copy` where the file system has no hard links.
        inherit: Descriptors that children keep: the writer's lock.
        proxy_variables: Variables, with None for one that must not be set, that make uv go through a proxy of
            the caller's for every host; empty for what the machine says of proxies.
        downloads: How it downloads.
        running: The processes that run now, so that an interrupt can end them.
    """

    program: Path
    prefix: Prefix
    index_url: str | None = None
    link_mode: str = "hardlink"
    inherit: tuple[int, ...] = ()
    proxy_variables: Mapping[str, str | None] = field(default_factory=dict)
    downloads: Downloads = field(default_factory=Downloads)
    running: set["subprocess.Popen[bytes]"] = field(default_factory=set)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Know the passwords of what was given, so that nothing shows them."""
        learn(self.index_url, self.downloads.python_mirror, *self.proxy_variables.values())

    @cached_property
    def configuration(self) -> UvConfiguration:
        """What the machine's configuration says of indexes.

        Raises:
            UvConfigurationError: It is malformed.
        """
        return read_uv_configuration(os.environ)

    def run(
        self,
        *arguments: str | Path,
        variables: Mapping[str, str] | None = None,
        configuration: str | None = None,
    ) -> UvOutput:
        """Run uv to its end, without any setting of the machine's and without a way to the network.

        Args:
            arguments: Its command line.
            variables: Environment variables beside the ones that every call gets.
            configuration: Text of its `uv.toml`; None for none.

        Returns:
            What it printed.

        Raises:
            DiskError: The disk is full, read-only or failing.
            WheelContentError: A wheel is not what its hash says, or is no wheel.
            IndexAccessError: An index did not answer, or lacks something.
        """
        environment = passed_on(os.environ, reaching=False) | self._settings() | dict(variables or {})
        return self._execute(_Call(arguments, environment, configuration))

    def reach(
        self,
        *arguments: str | Path,
        index_url: str | None = None,
        variables: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> UvOutput:
        """Run uv to its end, with what it needs to download something.

        An index that answers `Cache-Control: no-store` would defeat uv's cache: what is named to uv here is
        cached whatever it says.

        Args:
            arguments: Its command line.
            index_url: The index of a build; None for the default index.
            variables: Environment variables beside the ones that every call gets.
            log: A file that its standard error is appended to while it runs; what it says outlives us there.

        Returns:
            What it printed.

        Raises:
            UvConfigurationError: The machine's configuration of uv is malformed.
            SlowIndexError: What comes is less than the least rate.
            DiskError: The disk is full, read-only or failing.
            WheelContentError: A wheel is not what its hash says, or is no wheel.
            IndexAccessError: An index did not answer, or lacks something.
        """
        known = self.configuration
        learn(index_url)
        indexes = known.for_build_index(index_url) if index_url else known.for_default_index(self.index_url)
        environment = passed_on(os.environ, reaching=True) | self._settings()
        if self.downloads.concurrent is not None:
            environment["UV_CONCURRENT_DOWNLOADS"] = str(self.downloads.concurrent)
        if self.downloads.python_mirror is not None:
            environment["UV_PYTHON_INSTALL_MIRROR"] = self.downloads.python_mirror
        for name, value in self.proxy_variables.items():
            environment.pop(name, None)
            if value is not None:
                environment[name] = value
        environment |= dict(variables or {})
        configuration = known.text(indexes, proxies=not self.proxy_variables)
        call = _Call(arguments, environment, configuration, known.sources, log)
        return self._execute(call, self.downloads.least_rate)

    def end_all(self) -> None:
        """End the processes that run now, so that the threads that wait for them come back."""
        with self._guard:
            for process in self.running:
                process.terminate()

    def _settings(self) -> dict[str, str]:
        return {
            "UV_CACHE_DIR": str(self.prefix.uv_cache),
            "UV_PYTHON_INSTALL_DIR": str(self.prefix.uv_python),
            "UV_LINK_MODE": self.link_mode,
            "UV_NO_PROGRESS": "1",
            "UV_NO_WRAP": "1",
            "NO_COLOR": "1",
        }

    def _execute(self, call: "_Call", least: LeastRate | None = None) -> UvOutput:
        command = [str(self.program), *map(str, call.arguments)]
        environment = dict(call.environment) | {"UV_LOCK_TIMEOUT": str(TIMEOUT_S)}
        with call.given() as (variables, descriptors, log):
            for _ in range(TRIES):
                remove_uv_locks(self.prefix)
                watch = _Watch(call.log, least)
                ended = run_to_its_end(
                    command,
                    environment=environment | variables,
                    directory=self.prefix.root,
                    descriptors=(*self.inherit, *descriptors),
                    running=functools.partial(self._note, watch),
                    stderr=log,
                )
                said = ended.stderr if call.log is None else watch.read_log()
                if watch.reason is not None:
                    raise watch.reason
                if ended.code == 0 or not waited_for_a_lock(said):
                    break
        if ended.code != 0:
            raise failure_of(command, ended.code, said, self.prefix, call.sources)
        return UvOutput(ended.stdout, said)

    def _note(self, watch: "_Watch", process: "subprocess.Popen[bytes]", runs: bool) -> None:
        with self._guard:
            if runs:
                self.running.add(process)
            else:
                self.running.discard(process)
        watch.note(process, runs)


@dataclass(frozen=True, slots=True)
class _Call:
    """What one uv is started with."""

    arguments: Sequence[str | Path]
    environment: Mapping[str, str]
    configuration: str | None = None
    sources: tuple[str, ...] = ()
    log: Path | None = None

    @contextmanager
    def given(self) -> Iterator[tuple[dict[str, str], tuple[int, ...], IO[bytes] | None]]:
        """Give the variables and descriptors of its configuration, and the file for what it says.

        The configuration is in no file: it may hold a password, and a model reads all files of the prefix.
        """
        with ExitStack() as stack:
            log = None if self.log is None else stack.enter_context(self.log.open("ab"))
            if self.configuration is None:
                yield {"UV_NO_CONFIG": "1"}, (), log
                return
            memory = stack.enter_context(os.fdopen(os.memfd_create("uv.toml"), "wb", buffering=0))
            memory.write(self.configuration.encode("utf-8", "surrogateescape"))
            yield {"UV_CONFIG_FILE": f"/proc/self/fd/{memory.fileno()}"}, (memory.fileno(),), log


class _Watch:
    """Looks at a process that runs, and ends it when it downloads too slowly or does not stop talking."""

    def __init__(self, log: Path | None, least: LeastRate | None) -> None:
        self._log = log
        self._log_begin = 0 if log is None else log.stat().st_size
        self._rate = None if least is None else RateWatch(least)
        self._look_s = _LOOK_S if least is None else least.look_s
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self.reason: MonobaseError | None = None

    def note(self, process: "subprocess.Popen[bytes]", runs: bool) -> None:
        """Begin with a process that has started, and end with it."""
        if not runs:
            self._over.set()
            if self._thread is not None:
                self._thread.join()
        elif self._log is not None or self._rate is not None:
            self._thread = threading.Thread(target=self._watch, args=(process,), daemon=True)
            self._thread.start()

    def read_log(self) -> str:
        """Give the beginning and the end of what it said."""
        if self._log is None:
            return ""
        with self._log.open("rb") as file:
            file.seek(self._log_begin)
            begin = file.read(_KEPT_BYTES)
            file.seek(max(file.tell(), self._log.stat().st_size - _KEPT_BYTES))
            return (begin + file.read(_KEPT_BYTES)).decode(errors="replace")

    def _watch(self, process: "subprocess.Popen[bytes]") -> None:
        received = ReceivedBytes(process.pid)
        while self.reason is None and not self._over.wait(self._look_s):
            self.reason = self._look(received)
        if self.reason is not None:
            process.kill()

    def _look(self, received: ReceivedBytes) -> MonobaseError | None:
        said = 0 if self._log is None else self._log.stat().st_size - self._log_begin
        if said > _LOG_BYTES:
            return MonobaseError(f"uv does not stop talking: {said:,} bytes so far")
        total = None if self._rate is None else received.total()
        slow = None if self._rate is None or total is None else self._rate.look(time.monotonic(), total)
        return None if self._rate is None or slow is None else _too_slow(slow, self._rate.least)


def _too_slow(slow: Slowness, least: LeastRate) -> SlowIndexError:
    return SlowIndexError(
        f"the index is too slow: it sent {slow}, and --min-download-rate asks for {least.bytes_per_s:,} a "
        f"second over --min-download-window {least.window_s:g}; name a faster index, or set them lower "
        "(0 for no least rate)"
    )


def find_uv(given: Path | None) -> Path:
    """Find the uv binary: the given one, or the one of the `uv` package.

    Args:
        given: Path from a flag, or None.

    Raises:
        MachineError: There is none.
    """
    if given is not None:
        if not given.is_file() or not os.access(given, os.X_OK):
            raise MachineError(f"{given}: is no executable; give uv's binary with --uv")
        return given
    try:
        import uv  # noqa: PLC0415 (only when no path is given; an image may hold the binary alone)

        return Path(uv.find_uv_bin())
    except (ImportError, FileNotFoundError) as error:
        raise MachineError(f"uv is not installed ({error}); give its binary with --uv") from error


def failure_of(
    command: Sequence[str], code: int, stderr: str, prefix: Prefix, sources: Sequence[str] = ()
) -> MonobaseError:
    """Turn a failure of uv into the error of ours that says what to do.

    Args:
        command: What ran.
        code: Its exit code, negative for a signal.
        stderr: What it said.
        prefix: Where it wrote.
        sources: The files of the machine that its configuration was made from.

    Returns:
        The error, to be raised.
    """
    said = redact(stderr.strip())
    if _MISCONFIGURED.search(said):
        told = " and ".join([*sources, "the environment"])
        return UvConfigurationError(
            f"uv refuses a setting that {told} gives it: {last_lines(said)}; correct it there"
        )
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
    lines = redact(text[start:]).removeprefix("error: ").strip().splitlines()[-count:]
    return "\n".join(line[:_LINE_CHARACTERS] for line in lines)
