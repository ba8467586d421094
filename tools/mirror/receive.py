"""Receives a blob from the first source that has it: resumed after a cut, compared with its digest."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gens.errors import MonobaseError
from image.errors import AccessError, RegistryError, TransientError
from image.registry.patience import Patience, persist
from tools.mirror.blob_part import BlobPart
from tools.mirror.errors import AbsentError, CutError, DiskError, LackingError, SourceError
from tools.mirror.source import Source
from tools.mirror.wanted import Item

_NAMED = 3


@dataclass(frozen=True, slots=True)
class Supply:
    """The sources of a run, and what became of them; for several threads.

    Attributes:
        sources: The sources, in the order to ask them.
        patience: Makes the limit of retries of one blob.
        advance: Called with the number of bytes that arrived, negative if they were dropped.
    """

    sources: Sequence[Source]
    patience: Callable[[], Patience]
    advance: Callable[[int], None]
    _dead: dict[int, MonobaseError] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def locate(self, item: Item) -> None:
        """Check that a source names a file, without reading it.

        Raises:
            LackingError: None does.
        """
        self._first(item, lambda source: persist(lambda: source.locate(item), self.patience()))

    def receive(self, item: Item, part: BlobPart) -> None:
        """Receive a file from the first source that has it.

        Args:
            item: The file.
            part: Where to; if it has the beginning, the rest is received.

        Raises:
            LackingError: No source has it; the part is empty, or has the beginning.
            DiskError: The disk is full.
        """
        self._first(item, lambda source: self._receive_from(source, item, part))

    def local_path(self, item: Item) -> Path | None:
        """Return the path of the file on this machine, if the first source that has it is a folder."""
        found: list[Path | None] = []
        try:
            self._first(item, lambda source: found.append(source.local_path(item)))
        except LackingError:
            return None
        return found[0] if found else None

    def _first(self, item: Item, attempt: Callable[[Source], None]) -> None:
        failures: list[MonobaseError] = []
        for number, source in enumerate(self.sources):
            dead = self._dead.get(number)
            if dead is not None:
                failures.append(_again(source, dead))
                continue
            try:
                attempt(source)
            except DiskError:
                raise
            except (AbsentError, RegistryError, SourceError) as error:
                failures.append(error)
                # A source that failed after all retries would delay each file as long.
                if isinstance(error, TransientError | AccessError | SourceError) and not isinstance(
                    error, CutError
                ):
                    with self._guard:
                        self._dead.setdefault(number, error)
            else:
                return
        raise _lacking(item, failures)

    def _receive_from(self, source: Source, item: Item, part: BlobPart) -> None:
        patience = self.patience()
        # What an earlier run, or another source, has left may be wrong: then all is read once from here.
        trusted = part.received_bytes == 0
        while True:
            before = part.received_bytes
            try:
                self._read(source, item, part)
            except TransientError as error:
                if part.received_bytes > before:
                    patience.progress()
                patience.bear(error)
                continue
            if part.sha256 == item.sha256:
                return
            found, size = part.sha256, part.received_bytes
            self._drop(part)
            if trusted:
                raise AbsentError(
                    f"{source.name}: has another file under this name: expected sha256:{item.sha256} and "
                    f"{item.size_bytes} bytes, found sha256:{found} and {size} bytes"
                )
            trusted = True

    def _read(self, source: Source, item: Item, part: BlobPart) -> None:
        if part.received_bytes >= item.size_bytes:
            return
        with source.open(item, part.received_bytes) as stream:
            if stream.start != part.received_bytes:
                self._drop(part)
            for block in stream.blocks:
                part.write(block)
                self.advance(len(block))
                if part.received_bytes > item.size_bytes:
                    return
        if part.received_bytes < item.size_bytes:
            raise CutError(
                f"{source.name}: {item.filename} ended after {part.received_bytes} of {item.size_bytes} bytes"
            )

    def _drop(self, part: BlobPart) -> None:
        self.advance(-part.received_bytes)
        part.restart()


def _again(source: Source, dead: MonobaseError) -> MonobaseError:
    """Return why a source is not asked any more."""
    error = SourceError(f"{source.name}: not asked again, as it failed before")
    error.exit_code = dead.exit_code  # type: ignore[misc]
    return error


def _lacking(item: Item, failures: Sequence[MonobaseError]) -> LackingError:
    users = ", ".join(item.users[:_NAMED])
    more = f" and {len(item.users) - _NAMED} more" if len(item.users) > _NAMED else ""
    whose = f" (of {users}{more})" if users else ""
    codes = {failure.exit_code for failure in failures}
    return LackingError(
        f"{item.filename}{whose}: cannot be had: {'; '.join(map(str, failures)) or 'there is no source'}; "
        "name a source that has it with --from, such as a folder with the wheel or another mirror",
        codes.pop() if len(codes) == 1 else LackingError.exit_code,
    )
