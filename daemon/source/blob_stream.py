"""Streams a blob from the sources in their order, and hands on no wrong one to its end.

Each byte is hashed while it passes. After a cut, a source goes on where it was; if it does not, the next one
goes on there. The last bytes are handed on when the digest of all is right. Otherwise the blob begins again
with the next source: within the same answer if nothing was handed on yet, else in the next one.
"""

import hashlib
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

from daemon.errors import SourceError
from daemon.source.body import Blob, Body, Source
from daemon.source.failure import BrokenBlobError, SourceFailure, source_error
from daemon.source.ledger import Ledger
from daemon.uv.least_rate import LeastRate, RateWatch

CHUNK_BYTES = 1 << 17
# A slow source sends less than a chunk in this time; uv counts what it receives.
_LONGEST_IN_CHUNK_S = 0.5
_TRIES_WITHOUT_PROGRESS = 3
_PAUSE_S = 0.3


@dataclass(slots=True)
class BlobStream:
    """The stream of one blob.

    Attributes:
        blob: The blob.
        sources: The sources, in their order.
        ledger: Counts what they send.
        least: The least rate of a source; None for no limit.
        chunk_bytes: Size of what is handed on at once.
        wait: Waits for some seconds.
        now: A clock that never goes back.
        said: The failures of the sources that were asked.
    """

    blob: Blob
    sources: Sequence[Source]
    ledger: Ledger
    least: LeastRate | None = None
    chunk_bytes: int = CHUNK_BYTES
    wait: Callable[[float], object] = time.sleep
    now: Callable[[], float] = time.monotonic
    said: list[tuple[str, SourceFailure]] = field(default_factory=list)
    _digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    _done: int = 0
    _handed_on: bool = False
    _senders: dict[str, None] = field(default_factory=dict)

    def chunks(self) -> Generator[bytes, None, None]:
        """Yield the blob, whole and right.

        Raises:
            SourceError: No source sends it, and nothing was handed on.
            BrokenBlobError: What was handed on cannot be completed.
        """
        for source in self.sources:
            failure = self.ledger.refusal(source.name, self.blob.sha256)
            if failure is None:
                try:
                    yield from self._from(source)
                except SourceFailure as found:
                    self.said.append((source.name, found))
                    self._note(source, found)
                else:
                    return
            else:
                self.said.append((source.name, failure))
        error = self.error()
        if self._handed_on:
            raise BrokenBlobError(str(error))
        raise error

    def error(self) -> SourceError:
        """Return the error that stands for the failures of all sources."""
        return source_error(self.blob.filename, self.said)

    def _note(self, source: Source, failure: SourceFailure) -> None:
        """Note the failure of a source; begin again where other bytes than the right ones have passed."""
        blob = self.blob
        mixed = len(self._senders) > 1
        if failure.reason == "wrong" and mixed:
            # Any of them may have sent the wrong part.
            self.ledger.keep_apart(blob.sha256)
            failure = SourceFailure("cut", failure.text)
        self.ledger.fail(source.name, failure, blob.sha256, blob.filename)
        apart = self.ledger.is_kept_apart(blob.sha256)
        if self._done and (failure.reason == "wrong" or apart):
            if self._handed_on:
                raise BrokenBlobError(f"{source.name}: {failure.text}")
            self._digest, self._done = hashlib.sha256(), 0
            self._senders.clear()

    def _from(self, source: Source) -> Generator[bytes, None, None]:
        """Yield the rest of the blob from one source, over any number of cuts."""
        idle = 0
        while True:
            before = self._done
            try:
                with source.open(self.blob, self._done) as body:
                    yield from self._pass(source, body)
                if self._done == self.blob.size_bytes:
                    return
                cut = SourceFailure("cut", f"ended after {self._done:,} of {self.blob.size_bytes:,} bytes")
            except SourceFailure as failure:
                if failure.reason != "cut":
                    raise
                cut = failure
            idle = 0 if self._done > before else idle + 1
            if idle >= _TRIES_WITHOUT_PROGRESS:
                raise SourceFailure("unreachable", f"{cut.text}, {idle} times; check it and the network")
            self.ledger.fail(source.name, cut, self.blob.sha256, self.blob.filename)
            self.wait(_PAUSE_S * idle)

    def _pass(self, source: Source, body: Body) -> Generator[bytes, None, None]:
        """Yield what a transfer brings, in chunks."""
        watch = None if self.least is None else RateWatch(self.least)
        blob, received, sending_s = self.blob, 0, 0.0
        parts: list[bytes] = []
        held, skip, began_s = 0, body.skip_bytes, self.now()
        broken: SourceFailure | None = None
        while True:
            try:
                part = body.read_some()
            except SourceFailure as failure:
                part, broken = b"", failure
            is_end = not part
            received += len(part)  # what is skipped as well: it tells a slow source
            part, skip = part[skip:], max(0, skip - len(part))
            parts.append(part)
            held += len(part)
            now_s = self.now()
            source_s = now_s - sending_s  # a client that reads slowly does not make the source slow
            is_whole = self._done + held >= blob.size_bytes
            is_due = held >= self.chunk_bytes or now_s - began_s > _LONGEST_IN_CHUNK_S
            if held and (is_due or is_whole or is_end):
                chunk = self._checked(source, parts[0] if len(parts) == 1 else b"".join(parts))
                parts, held = [], 0
                yield chunk
                began_s = self.now()
                sending_s += began_s - now_s
            if broken is not None:
                raise broken
            if is_whole or is_end:
                return
            slow = None if watch is None else watch.look(source_s, received)
            if slow is not None:
                raise SourceFailure("slow", f"is too slow: it sent {slow}; see --min-download-rate")

    def _checked(self, source: Source, chunk: bytes) -> bytes:
        """Hash a chunk and count it; return it if it may be handed on.

        Raises:
            SourceFailure: The blob is complete, and is not the right one.
        """
        blob = self.blob
        self._digest.update(chunk)
        self._done += len(chunk)
        self._senders[source.name] = None
        self.ledger.count(source.name, len(chunk))
        if self._done >= blob.size_bytes:
            found = self._digest.hexdigest()
            if self._done > blob.size_bytes or found != blob.sha256:
                is_longer = self._done > blob.size_bytes
                raise SourceFailure(
                    "wrong",
                    f"sent another file: expected sha256:{blob.sha256}, found "
                    f"{'a longer file' if is_longer else f'sha256:{found}'}; repair the source",
                )
        self._handed_on = True
        return chunk
