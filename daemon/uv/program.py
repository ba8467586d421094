"""Runs uv: finds its program, and starts it with Monobase's settings."""

import functools
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO

from daemon.errors import MachineError
from daemon.host.child_process import run_to_its_end
from daemon.prefix.prefix import Prefix
from daemon.prefix.uv_locks import TIMEOUT_S, TRIES, remove_uv_locks, waited_for_a_lock
from daemon.uv.call_watch import CallWatch
from daemon.uv.configuration import UvConfiguration, read_uv_configuration
from daemon.uv.failure import failure_of
from daemon.uv.least_rate import LeastRate
from daemon.uv.variables import passed_on
from gens.errors import MonobaseError
from gens.redaction import learn


@dataclass(frozen=True, slots=True)
class UvOutput:
    """The output of a successful call of uv."""

    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class PythonWay:
    """A server of the daemon on loopback that interpreters are installed from.

    Attributes:
        variables: The variables that make uv use it.
        failure: Returns why its last answer was none, if it knows.
        finds_wrong: Returns whether what it sent was wrong, so that another try gets it from elsewhere.
    """

    variables: Mapping[str, str]
    failure: Callable[[], MonobaseError | None]
    finds_wrong: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True)
class Downloads:
    """The options of uv's downloads.

    Attributes:
        concurrent: Number of wheels that one uv downloads at once; None for uv's default.
        python_mirror: URL that it downloads interpreters from; None for the machine's configuration.
        python_ways: What is tried in this order for an interpreter: a server of the daemon, or None for the
            machine's configuration.
        least_rate: The least rate of a download; None for no limit.
    """

    concurrent: int | None = None
    python_mirror: str | None = None
    python_ways: tuple[PythonWay | None, ...] = (None,)
    least_rate: LeastRate | None = None


@dataclass(frozen=True)
class Uv:
    """Runs uv for one prefix.

    Attributes:
        program: The uv binary.
        prefix: The prefix, which has its cache and interpreters.
        index_url: Default index, or None for the one of the machine's configuration.
        link_mode: uv's `--link-mode`: `hardlink`, or `copy` where the file system has no hard links.
        inherit: Descriptors that uv inherits: those of the writer lock.
        proxy_variables: Variables that make uv use a proxy of the caller for every host, with None for one
            that must not be set; empty for the machine's proxies.
        downloads: The options of its downloads.
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
        """Learn the passwords in the URLs, so that no message shows them."""
        learn(self.index_url, self.downloads.python_mirror, *self.proxy_variables.values())

    @cached_property
    def configuration(self) -> UvConfiguration:
        """The indexes of the machine's configuration.

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
        """Run uv to its end, without the machine's settings and without network.

        Args:
            arguments: Its command line.
            variables: Further environment variables.
            configuration: Text of its `uv.toml`; None for none.

        Returns:
            Its output.

        Raises:
            DiskError: The disk is full, read-only or failing.
            WheelContentError: A wheel has another hash, or is malformed.
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
        received: Callable[[int], None] | None = None,
    ) -> UvOutput:
        """Run uv to its end, with the settings that it needs to download.

        uv caches the wheels of all indexes here, even of one that answers `Cache-Control: no-store`.

        Args:
            arguments: Its command line.
            index_url: The index of a build; None for the default index.
            variables: Further environment variables.
            log: A file that uv appends its standard error to, so that it outlives the daemon.
            received: Called with the bytes that uv has received so far, several times a second.

        Returns:
            Its output.

        Raises:
            UvConfigurationError: The machine's configuration of uv is malformed.
            SlowIndexError: The index sends less than the least rate.
            DiskError: The disk is full, read-only or failing.
            WheelContentError: A wheel has another hash, or is malformed.
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
        return self._execute(call, self.downloads.least_rate, received)

    def reach_loopback(
        self,
        *arguments: str | Path,
        configuration: str | None,
        variables: Mapping[str, str],
        log: Path | None = None,
        received: Callable[[int], None] | None = None,
    ) -> UvOutput:
        """Run uv to its end against a server of the daemon on loopback, without the machine's settings.

        Args:
            arguments: Its command line.
            configuration: Text of its `uv.toml`; None for none.
            variables: The variables that make it use the server.
            log: A file that uv appends its standard error to, so that it outlives the daemon.
            received: Called with the bytes that uv has received so far, several times a second.

        Returns:
            Its output.

        Raises:
            DiskError: The disk is full, read-only or failing.
            WheelContentError: A wheel has another hash, or is malformed.
            IndexAccessError: The server lacks something.
        """
        environment = passed_on(os.environ, reaching=False) | self._settings()
        if self.downloads.concurrent is not None:
            environment["UV_CONCURRENT_DOWNLOADS"] = str(self.downloads.concurrent)
        call = _Call(arguments, environment | dict(variables), configuration, log=log)
        return self._execute(call, received=received)

    @contextmanager
    def pool(self, size: int) -> Iterator[ThreadPoolExecutor]:
        """Provide threads for calls at the same time; if the block fails, end all calls that run.

        Args:
            size: Number of threads.
        """
        with ThreadPoolExecutor(size) as pool:
            try:
                yield pool
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self.end_all()
                raise

    def end_all(self) -> None:
        """End the processes that run now, so that the threads that wait for them return."""
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

    def _execute(
        self,
        call: "_Call",
        least: LeastRate | None = None,
        received: Callable[[int], None] | None = None,
    ) -> UvOutput:
        command = [str(self.program), *map(str, call.arguments)]
        environment = dict(call.environment) | {"UV_LOCK_TIMEOUT": str(TIMEOUT_S)}
        with call.given() as (variables, descriptors, log):
            for _ in range(TRIES):
                remove_uv_locks(self.prefix, Path(environment["UV_CACHE_DIR"]), call.target)
                watch = CallWatch(call.log, least, received)
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
                if ended.code == 0 or not (watch.is_held_up or waited_for_a_lock(said)):
                    break
        if ended.code != 0 and watch.is_held_up:
            raise MachineError(
                f"{self.prefix.root}: a model holds leases (fcntl(2), F_SETLEASE) on the files that uv "
                f"makes, and stopped it {TRIES} times; find it by `lsof +D {self.prefix.uv_cache}`; end it"
            )
        if ended.code != 0:
            raise failure_of(command, ended.code, said, self.prefix, call.sources)
        return UvOutput(ended.stdout, said)

    def _note(self, watch: CallWatch, process: "subprocess.Popen[bytes]", runs: bool) -> None:
        with self._guard:
            if runs:
                self.running.add(process)
            else:
                self.running.discard(process)
        watch.note(process, runs)


@dataclass(frozen=True, slots=True)
class _Call:
    """The arguments and the environment of one call of uv."""

    arguments: Sequence[str | Path]
    environment: Mapping[str, str]
    configuration: str | None = None
    sources: tuple[str, ...] = ()
    log: Path | None = None

    @property
    def target(self) -> Path | None:
        """The folder of `--target`, which has a lock as an environment has."""
        given = list(self.arguments)
        return Path(given[given.index("--target") + 1]) if "--target" in given else None

    @contextmanager
    def given(self) -> Iterator[tuple[dict[str, str], tuple[int, ...], IO[bytes] | None]]:
        """Provide the variables and descriptors of its configuration, and the file for its output.

        The configuration is not a file on the prefix, where models can read it: it may hold a password.
        """
        with ExitStack() as stack:
            log = None if self.log is None else stack.enter_context(self.log.open("ab"))
            if self.configuration is None:
                yield {"UV_NO_CONFIG": "1"}, (), log
                return
            memory = stack.enter_context(os.fdopen(os.memfd_create("uv.toml"), "wb", buffering=0))
            memory.write(self.configuration.encode("utf-8", "surrogateescape"))
            yield {"UV_CONFIG_FILE": f"/proc/self/fd/{memory.fileno()}"}, (memory.fileno(),), log


def find_uv(given: Path | None) -> Path:
    """Find the uv binary: the given one, or the one of the `uv` package.

    Args:
        given: Path of an option, or None.

    Raises:
        MachineError: There is no uv.
    """
    if given is not None:
        if not given.is_file() or not os.access(given, os.X_OK):
            raise MachineError(f"{given}: is not an executable file; name uv's binary with --uv")
        return given
    try:
        import uv  # noqa: PLC0415 (only when no path is given; an image may hold the binary alone)

        return Path(uv.find_uv_bin())
    except (ImportError, FileNotFoundError) as error:
        raise MachineError(f"uv is not installed ({error}); name its binary with --uv") from error
