"""Compiles batches of sources by worker processes, each batch into a folder of its own.

A batch begins as soon as it is full, so that sources compile while uv downloads further wheels. Who needs the
bytecode takes the folders of finished batches.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from daemon.errors import InterpreterError
from daemon.host.known_contents import KnownContents
from daemon.host.modes import make_new_folder
from daemon.interpreters.compile_run import run_compile_worker
from daemon.interpreters.running_interpreter import Interpreter
from daemon.prefix.bytecode_store import compiled_name, read_compiled
from daemon.prefix.prefix import Prefix
from daemon.prefix.staging import temporary_path

_BATCH_BYTES = 8_000_000  # about a second of work; a worker takes 0.03 s of it to start
_LEAST_BATCH_BYTES = 1_000_000  # what a worker that has nothing else to do begins with
_SOURCE_BYTES = 2_000  # what opening and writing a file costs, as bytes of source

Identity = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Source:
    """A source that has no bytecode yet.

    Attributes:
        path: Where it can be read.
        sha256: Its digest.
        size_bytes: Its size.
        key: What the bytecode of its interpreter is kept under.
    """

    path: str
    sha256: str
    size_bytes: int
    key: str

    @property
    def identity(self) -> Identity:
        """Key and digest: what its bytecode is kept under."""
        return self.key, self.sha256


@dataclass(slots=True)
class _Filling:
    """Sources of one interpreter that have no batch yet, and what they count for."""

    interpreter: Interpreter
    sources: list[Source] = field(default_factory=list)
    size_bytes: int = 0


@dataclass(slots=True)
class _Batch:
    """Sources that one worker compiles into one folder."""

    directory: Path
    sources: Sequence[Source]
    ended: Future[None]


@dataclass(slots=True)
class CompilePool:
    """Compiles sources by several workers. Thread-safe.

    Attributes:
        prefix: The prefix.
        jobs: Number of worker processes.
        inherit: Descriptors that workers inherit: those of the writer lock.
        known: Where the digests of the bytecode are remembered; None to read none.
    """

    prefix: Prefix
    jobs: int
    inherit: tuple[int, ...] = ()
    known: KnownContents | None = None
    _filling: dict[str, _Filling] = field(default_factory=dict)
    _batches: dict[Identity, _Batch] = field(default_factory=dict)
    _added: set[Identity] = field(default_factory=set)
    _unfinished: int = 0
    _executor: ThreadPoolExecutor | None = None
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def add(self, interpreter: Interpreter, sources: Iterable[Source]) -> None:
        """Compile sources of one interpreter, except those that were added before.

        Args:
            interpreter: The interpreter.
            sources: The sources; they stay readable until their batch was taken.
        """
        with self._guard:
            for source in sorted(sources, key=lambda source: source.size_bytes, reverse=True):
                if source.identity not in self._added:
                    self._added.add(source.identity)
                    filling = self._filling.setdefault(source.key, _Filling(interpreter))
                    filling.sources.append(source)
                    filling.size_bytes += source.size_bytes + _SOURCE_BYTES
                    if filling.size_bytes >= _BATCH_BYTES:
                        self._begin(source.key)

    def take(self, identities: Collection[Identity], advance: Callable[[int], None]) -> list[Path]:
        """Wait for the batches of some sources, and hand out their folders; each is handed out once.

        Args:
            identities: The sources. Those that were never added are left out.
            advance: Called with the number of these sources in each batch that has ended.

        Returns:
            The folder of each batch. A source that does not compile, that crashes its interpreter or that was
            gone has no file there.

        Raises:
            MonobaseError: An interpreter cannot compile anything.
        """
        with self._guard:
            for key in list(self._filling):
                self._begin(key)
            found = {id(batch): batch for batch in map(self._batches.get, identities) if batch is not None}
        try:
            for batch in found.values():
                batch.ended.result()
                advance(sum(source.identity in identities for source in batch.sources))
        finally:
            with self._guard:
                for source in (source for batch in found.values() for source in batch.sources):
                    self._batches.pop(source.identity, None)
                    self._added.discard(source.identity)
        return [batch.directory for batch in found.values()]

    def close(self) -> None:
        """Forget all batches: wait for those that run, and begin no other."""
        with self._guard:
            executor, self._executor = self._executor, None
            self._filling.clear()
            self._batches.clear()
            self._added.clear()
        if executor is not None:
            executor.shutdown(cancel_futures=True)
            self._unfinished = 0

    def _begin(self, key: str) -> None:
        filling = self._filling.pop(key)
        directory = temporary_path(self.prefix.staging)
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self.jobs, "compile")
        self._unfinished += 1
        ended = self._executor.submit(self._compile, filling.interpreter, filling.sources, directory)
        batch = _Batch(directory, filling.sources, ended)
        self._batches.update((source.identity, batch) for source in batch.sources)

    def _compile(self, interpreter: Interpreter, sources: Sequence[Source], directory: Path) -> None:
        try:
            make_new_folder(directory)
            self._compile_into(interpreter, sources, directory)
            if self.known is not None:  # now, as whoever takes the batch has nothing else to do
                read_compiled(directory, self.known)
        finally:
            with self._guard:
                self._unfinished -= 1
                self._begin_what_waits()

    def _begin_what_waits(self) -> None:
        """Begin what would wait for a full batch, if a worker has nothing to do."""
        for key, filling in list(self._filling.items()):
            is_idle = self._executor is not None and self._unfinished < self.jobs
            if is_idle and filling.size_bytes >= _LEAST_BATCH_BYTES:
                self._begin(key)

    def _compile_into(self, interpreter: Interpreter, sources: Sequence[Source], directory: Path) -> None:
        """Compile some sources; one that crashes the interpreter stays without bytecode."""
        error = self._run_worker(interpreter, sources, directory)
        if error is None:
            return
        broken = self._run_worker(interpreter, (), directory)
        if broken is not None:
            raise broken
        if len(sources) > 1:
            for source in sources:
                self._compile_into(interpreter, [source], directory)

    def _run_worker(
        self, interpreter: Interpreter, sources: Sequence[Source], directory: Path
    ) -> InterpreterError | None:
        items = [
            (source.path, f"{directory}/{compiled_name(*source.identity)}", f"{source.sha256}.py")
            for source in sources
        ]
        try:
            run_compile_worker(interpreter, items, self.inherit)
        except InterpreterError as error:
            return error
        return None
