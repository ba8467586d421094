"""Uploads one blob to a repository, in several tries if needed (OCI distribution-spec v1.1)."""

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
    """Bytes and resumptions of the upload of one blob.

    Attributes:
        sent_bytes: Bytes that were sent, including those lost with a broken connection.
        resumed: Number of times that the upload continued in the middle of the blob.
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

    Usually the whole blob is the body of one request, which every registry accepts. After a broken connection
    the rest follows in another request if the registry kept the beginning; otherwise all is sent again.

    Args:
        registry: The repository.
        blob: The blob.
        path: Its file.
        patience: Limit of failures without progress.
        chunk_bytes: Longest body of a request; 0 for no limit.
        advance: Called with the number of bytes sent, negative after a failure.

    Returns:
        The bytes and resumptions.

    Raises:
        ImageError: The file became unreadable.
        RegistryError: The registry refuses the blob.
        TransientError: It failed too often.
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
        self._shown = 0  # bytes reported to the caller
        self._location: str | None = None
        self._kept = 0  # bytes that the registry has
        self._furthest = 0
        self._smallest = 0
        self._distrusted = False

    def carry_on(self, file: IO[bytes]) -> bool:
        """Send the rest; return False if the registry cannot continue, and all must be sent again."""
        found = None if self._location is None else self._registry.upload_status(self._location)
        if found is not None:
            self._location, self._kept = found
            self.resumed += self._kept > 0
        # A missing upload may be a finished one, whose last answer was lost.
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
        # Parts may have been joined wrongly, in the registry or on the way: send the whole blob once more.
        if not self.resumed or self._distrusted:
            raise RegistryError(f"{refusal} (blob {self._blob.digest}, {self._blob.size_bytes} bytes)")
        self._distrusted = True
        self._location = None
        return False

    def got_ahead(self) -> bool:
        """Return whether the registry has more bytes than ever before."""
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
        # Some registries omit the range in this answer.
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
