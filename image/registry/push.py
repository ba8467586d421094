"""Brings an image into a repository: blobs first, the manifest last (OCI distribution-spec v1.1)."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import Literal, Protocol

from image.errors import ImageError, TransientError
from image.oci.descriptor import Descriptor
from image.oci.layout import Layout
from image.oci.verify import check_blob
from image.registry.client import Registry
from image.registry.patience import Patience, persist
from image.registry.upload import upload_blob

Way = Literal["skipped", "mounted", "pushed"]


class Listener(Protocol):
    """Who hears how a push gets on; called by several threads."""

    def advance(self, count: int) -> None:
        """Some bytes more are dealt with; fewer, after a failure, when the number is negative."""

    def retry(self, error: TransientError, pause_s: float) -> None:
        """Something failed, and is tried again after some seconds."""


@dataclass(frozen=True, slots=True)
class PushOptions:
    """How an image is pushed.

    Attributes:
        tags: What the image is called in the repository; without one, its digest is all.
        mount_from: Names of repositories of the same registry that may have layers.
        jobs: Blobs at once.
        chunk_bytes: Longest body of a request; 0 for no limit.
        retries: Failures in a row that are borne with.
    """

    tags: tuple[str, ...] = ()
    mount_from: tuple[str, ...] = ()
    jobs: int = 4
    chunk_bytes: int = 0
    retries: int = 5


@dataclass(frozen=True, slots=True)
class PushResult:
    """What a push did.

    Attributes:
        digest: Of the image's manifest.
        pushed: Blobs that were uploaded.
        pushed_bytes: Their sizes.
        sent_bytes: Bytes that went out for them, those that a broken connection lost included.
        resumed: How often an upload went on in the middle of a blob.
        mounted: Blobs taken over from other repositories.
        mounted_bytes: Their sizes.
        skipped: Blobs that were there.
        skipped_bytes: Their sizes.
        new_tags: Tags that name the image now and did not before.
        kept_tags: Tags that named it already.
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


def push(layout: Layout, registry: Registry, options: PushOptions, listener: Listener) -> PushResult:
    """Push an image; nothing names it before all of it is there.

    Args:
        layout: The image.
        registry: The repository, connected.
        options: How.
        listener: Hears how it gets on.

    Returns:
        What was done.

    Raises:
        ImageError: The image is damaged; nothing was tagged.
        RegistryError: The registry refuses something, or did not answer; nothing was tagged.
    """
    manifest = _read_manifest(layout)
    brought = _bring_all(layout, registry, options, listener)
    result = PushResult(layout.manifest.digest)
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
    named = [
        (tag, _name(registry, tag, layout.manifest, manifest, options, listener)) for tag in options.tags
    ]
    if not options.tags:
        _name(registry, layout.manifest.digest, layout.manifest, manifest, options, listener)
    return replace(
        result,
        new_tags=tuple(tag for tag, new in named if new),
        kept_tags=tuple(tag for tag, new in named if not new),
    )


def blobs_of(layout: Layout) -> Sequence[Descriptor]:
    """List the blobs of an image, each once, the largest first so that the last to end is a small one."""
    return sorted({blob.digest: blob for blob in layout.blobs}.values(), key=lambda blob: -blob.size_bytes)


def _read_manifest(layout: Layout) -> bytes:
    path = layout.path(layout.manifest)
    check_blob(layout.manifest, path)
    content = path.read_bytes()
    if len(content) != layout.manifest.size_bytes:
        raise ImageError(
            f"{path}: has {len(content)} bytes, not the {layout.manifest.size_bytes} of index.json"
        )
    return content


def _bring_all(
    layout: Layout, registry: Registry, options: PushOptions, listener: Listener
) -> list[_Brought]:
    waiting: SimpleQueue[Descriptor] = SimpleQueue()
    ended: SimpleQueue[_Brought | BaseException] = SimpleQueue()
    blobs = blobs_of(layout)
    for blob in blobs:
        waiting.put(blob)
    brigade = _Brigade(registry, layout, options, listener)
    for number in range(min(options.jobs, len(blobs))):
        # Daemons: after a failure or Ctrl-C, nobody waits for what hangs on a connection.
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
    """Ends a thread whose work nobody wants any more."""


@dataclass(frozen=True, slots=True)
class _Brigade:
    """What the threads of a push share."""

    registry: Registry
    layout: Layout
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
    path = brigade.layout.path(blob)
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
    """Give the image a name; False when it has it already."""
    patience = Patience(options.retries, listener.retry)
    if persist(lambda: registry.manifest_digest(reference, manifest.media_type), patience) == manifest.digest:
        return False
    persist(lambda: registry.put_manifest(reference, manifest, content), patience)
    return True
