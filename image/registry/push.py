"""Pushes an image to a repository: blobs first, the manifest last (OCI distribution-spec v1.1)."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import Literal, Protocol

from image.errors import ImageError, TransientError
from image.oci.descriptor import Descriptor
from image.oci.image_index import Content
from image.oci.verify import check_blob
from image.registry.client import Registry
from image.registry.patience import Patience, persist
from image.registry.upload import upload_blob

Way = Literal["skipped", "mounted", "pushed"]


class Listener(Protocol):
    """Receives the progress of a push; several threads call it."""

    def advance(self, count: int) -> None:
        """Add to the bytes that are done; the number is negative after a failure."""

    def retry(self, error: TransientError, pause_s: float) -> None:
        """Report a failure that is retried after some seconds."""


@dataclass(frozen=True, slots=True)
class PushOptions:
    """Options of a push.

    Attributes:
        tags: Tags of the image in the repository; without one, it is pushed by digest only.
        mount_from: Names of repositories of the same registry that may have layers.
        jobs: Number of blobs at a time.
        chunk_bytes: Longest body of a request; 0 for no limit.
        retries: Number of consecutive failures that are retried.
    """

    tags: tuple[str, ...] = ()
    mount_from: tuple[str, ...] = ()
    jobs: int = 4
    chunk_bytes: int = 0
    retries: int = 5


@dataclass(frozen=True, slots=True)
class PushResult:
    """The result of a push.

    Attributes:
        digest: Digest of the image's manifest.
        pushed: Blobs that were uploaded.
        pushed_bytes: Their sizes.
        sent_bytes: Bytes that were sent for them, including those lost with a broken connection.
        resumed: Number of times that an upload continued in the middle of a blob.
        mounted: Blobs mounted from other repositories.
        mounted_bytes: Their sizes.
        skipped: Blobs that the repository already had.
        skipped_bytes: Their sizes.
        new_tags: Tags that were set to the image.
        kept_tags: Tags that already named the image.
    """

    digest: str
    pushed: int = 0
    pushed_bytes: int = 0
    sent_bytes: int = 0
    resumed: int = 0
    mounted: int = 0
    mounted_bytes: int = 0
    skipped: int = 0
    skipped_bytes: int = 0
    new_tags: tuple[str, ...] = ()
    kept_tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Brought:
    blob: Descriptor
    way: Way
    sent_bytes: int = 0
    resumed: int = 0


def push(content: Content, registry: Registry, options: PushOptions, listener: Listener) -> PushResult:
    """Push an image or an index of images; manifests and tags come last, when all blobs are there.

    Args:
        content: The image or index.
        registry: Client of the repository, connected.
        options: The options.
        listener: Receives the progress.

    Returns:
        The result.

    Raises:
        ImageError: The image is damaged; nothing was tagged.
        RegistryError: The registry refuses something, or did not answer; nothing was tagged.
    """
    manifests = [(manifest, _read_manifest(content, manifest)) for manifest in content.manifests]
    brought = _bring_all(content, registry, options, listener)
    result = PushResult(content.root.digest)
    for one in brought:
        size_bytes = one.blob.size_bytes
        if one.way == "pushed":
            result = replace(
                result,
                pushed=result.pushed + 1,
                pushed_bytes=result.pushed_bytes + size_bytes,
                sent_bytes=result.sent_bytes + one.sent_bytes,
                resumed=result.resumed + one.resumed,
            )
        elif one.way == "mounted":
            result = replace(
                result, mounted=result.mounted + 1, mounted_bytes=result.mounted_bytes + size_bytes
            )
        else:
            result = replace(
                result, skipped=result.skipped + 1, skipped_bytes=result.skipped_bytes + size_bytes
            )
    # An index names its images by their digests, so the registry must have them first.
    *images, (root, text) = manifests
    for manifest, image_text in images:
        _name(registry, manifest.digest, manifest, image_text, options, listener)
    named = [(tag, _name(registry, tag, root, text, options, listener)) for tag in options.tags]
    if not options.tags:
        _name(registry, root.digest, root, text, options, listener)
    return replace(
        result,
        new_tags=tuple(tag for tag, new in named if new),
        kept_tags=tuple(tag for tag, new in named if not new),
    )


def blobs_of(content: Content) -> Sequence[Descriptor]:
    """Return the blobs, each once, the largest first, so that the last to finish is small."""
    return sorted({blob.digest: blob for blob in content.blobs}.values(), key=lambda blob: -blob.size_bytes)


def _read_manifest(content: Content, manifest: Descriptor) -> bytes:
    path = content.path(manifest)
    check_blob(manifest, path)
    text = path.read_bytes()
    if len(text) != manifest.size_bytes:
        raise ImageError(f"{path}: has {len(text)} bytes, not the {manifest.size_bytes} of its descriptor")
    return text


def _bring_all(
    content: Content, registry: Registry, options: PushOptions, listener: Listener
) -> list[_Brought]:
    waiting: SimpleQueue[Descriptor] = SimpleQueue()
    ended: SimpleQueue[_Brought | BaseException] = SimpleQueue()
    blobs = blobs_of(content)
    for blob in blobs:
        waiting.put(blob)
    brigade = _Brigade(registry, content, options, listener)
    for number in range(min(options.jobs, len(blobs))):
        # Daemon threads: after a failure or Ctrl-C, the process does not wait for a hanging connection.
        threading.Thread(
            target=_work, args=(brigade, waiting, ended), name=f"blob-{number}", daemon=True
        ).start()
    brought = []
    try:
        for _ in blobs:
            one = ended.get()
            if isinstance(one, BaseException):
                raise one
            brought.append(one)
    finally:
        brigade.stop.set()
    return brought


class _StoppedError(Exception):
    """The push has ended elsewhere: this thread stops."""


@dataclass(frozen=True, slots=True)
class _Brigade:
    """Shares options, progress and the stop signal between the threads of a push."""

    registry: Registry
    content: Content
    options: PushOptions
    listener: Listener
    stop: threading.Event = field(default_factory=threading.Event)

    def advance(self, count: int) -> None:
        if self.stop.is_set():
            raise _StoppedError
        self.listener.advance(count)

    def pause(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise _StoppedError

    def patience(self) -> Patience:
        return Patience(self.options.retries, self.listener.retry, self.pause)


def _work(
    brigade: _Brigade, waiting: SimpleQueue[Descriptor], ended: SimpleQueue[_Brought | BaseException]
) -> None:
    while not brigade.stop.is_set():
        try:
            blob = waiting.get_nowait()
        except Empty:
            return
        try:
            ended.put(_bring(brigade, blob))
        except _StoppedError:
            return
        except BaseException as error:
            ended.put(error)


def _bring(brigade: _Brigade, blob: Descriptor) -> _Brought:
    registry, options = brigade.registry, brigade.options
    if persist(lambda: registry.has_blob(blob.digest), brigade.patience()):
        brigade.advance(blob.size_bytes)
        return _Brought(blob, "skipped")
    for source in options.mount_from:
        if persist(_mount(registry, blob.digest, source), brigade.patience()):
            brigade.advance(blob.size_bytes)
            return _Brought(blob, "mounted")
    path = brigade.content.path(blob)
    check_blob(blob, path)
    transfer = upload_blob(
        registry, blob, path, brigade.patience(), chunk_bytes=options.chunk_bytes, advance=brigade.advance
    )
    return _Brought(blob, "pushed", transfer.sent_bytes, transfer.resumed)


def _mount(registry: Registry, digest: str, source: str) -> Callable[[], bool]:
    return lambda: registry.mount_blob(digest, source)


def _name(
    registry: Registry,
    reference: str,
    manifest: Descriptor,
    content: bytes,
    options: PushOptions,
    listener: Listener,
) -> bool:
    """Set a tag or digest to the image; return False if it already names the image."""
    patience = Patience(options.retries, listener.retry)
    if persist(lambda: registry.manifest_digest(reference, manifest.media_type), patience) == manifest.digest:
        return False
    persist(lambda: registry.put_manifest(reference, manifest, content), patience)
    return True
