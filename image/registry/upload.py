"""Brings one blob into a repository, in several tries if it must be (OCI distribution-spec v1.1)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from image.errors import ImageError, RegistryError, TransientError
from image.oci.descriptor import Descriptor
from image.registry.client import FileSlice, Registry
from image.registry.patience import Patience


@dataclass(frozen=True, slots=True)
class Transfer:
    """What bringing one blob took.

    Attributes:
        sent_bytes: Bytes that went out, those that a broken connection lost included.
        resumed: How often the upload went on in the middle of the blob.
    """

    sent_bytes: int
    resumed: int


def upload_blob(
    registry: Registry,
    blob: Descriptor,
    path: Path,
    patience: Patience,
    *,
    chunk_bytes: int,
    advance: Callable[[int], None],
) -> Transfer:
    """Upload a blob ("Pushing a blob in chunks", "Resuming a blob upload").

    Usually the whole blob is the body of one request, which every registry takes; what a broken connection
    left over follows in another one, if the registry kept the beginning. One that did not gets it all again.

    Args:
        registry: The repository.
        blob: What is uploaded.
        path: Its file.
        patience: How often a failure is borne with that brought the upload no further.
        chunk_bytes: Longest body of a request; 0 for no limit.
        advance: Hears how many bytes more (or, after a failure, fewer) are on their way.

    Returns:
        What it took.

    Raises:
        ImageError: The file became unreadable.
        RegistryError: The registry refuses the blob.
        TransientError: It failed once too often.
    """
    upload = _Upload(registry, blob, chunk_bytes, advance)
    try:
        with path.open("rb") as file:
            while True:
                try:
                    if upload.carry_on(file):
                        return Transfer(upload.sent_bytes, upload.resumed)
                except TransientError as error:
                    failure = error
                else:
                    failure = TransientError(
                        f"{registry.repository}: the registry dropped the upload of {blob.digest}"
                    )
                if upload.got_ahead():
                    patience.progress()
                patience.bear(failure)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {error}") from error


class _Upload:
    """An upload that may take several tries."""

    def __init__(
        self, registry: Registry, blob: Descriptor, chunk_bytes: int, advance: Callable[[int], None]
    ) -> None:
        self.sent_bytes = 0
        self.resumed = 0
        self._registry = registry
        self._blob = blob
        self._limit = chunk_bytes
        self._advance = advance
        self._shown = 0  # bytes that the caller heard of
        self._location: str | None = None
        self._kept = 0  # bytes that the registry has
        self._furthest = 0
        self._smallest = 0
        self._distrusted = False

    def carry_on(self, file: IO[bytes]) -> bool:
        """Bring the rest; False when the registry does not go on from there, and all must start again."""
        found = None if self._location is None else self._registry.upload_status(self._location)
        if found is not None:
            self._location, self._kept = found
            self.resumed += self._kept > 0
        # An upload that is gone may be one that ended: perhaps only the registry's last answer was lost.
        elif self._location is not None and self._registry.has_blob(self._blob.digest):
            return True
        else:
            self._location, self._smallest = self._registry.start_upload()
            self._kept = 0
        self._show(self._kept)
        while self._kept < self._blob.size_bytes:
            if not self._send(file, self._location):
                return False
        refusal = self._registry.finish_upload(self._location, self._blob.digest)
        if refusal is None:
            return True
        # Parts may have met wrongly, in the registry or on the way: whole, it gets another chance, but one.
        if not self.resumed or self._distrusted:
            raise RegistryError(f"{refusal} (blob {self._blob.digest}, {self._blob.size_bytes} bytes)")
        self._distrusted = True
        self._location = None
        return False

    def got_ahead(self) -> bool:
        """Say whether the registry has more than it ever had before."""
        ahead = self._kept > self._furthest
        self._furthest = max(self._kept, self._furthest)
        return ahead

    def _send(self, file: IO[bytes], location: str) -> bool:
        rest = self._blob.size_bytes - self._kept
        length = min(rest, max(self._limit, self._smallest)) if self._limit else rest
        whole = length == self._blob.size_bytes
        part = FileSlice(file, self._kept, length, self._sent)
        content_range = None if whole else f"{self._kept}-{self._kept + length - 1}"
        taken = self._registry.send_part(location, part, content_range)
        if taken is None:
            self._location = None
            return False
        self._location, kept = taken
        # Some registries do not tell the range in this answer.
        self._kept = kept if self._kept < kept <= self._blob.size_bytes else self._kept + length
        self._show(self._kept)
        return True

    def _sent(self, count: int) -> None:
        self.sent_bytes += count
        self._shown += count
        self._advance(count)

    def _show(self, kept: int) -> None:
        self._advance(kept - self._shown)
        self._shown = kept
