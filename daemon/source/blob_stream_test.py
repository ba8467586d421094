"""The stream of a blob over cuts, wrong bytes, and sources that fail."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

import pytest

from daemon.errors import SourceDeniedError, SourceError
from daemon.source.blob_stream import BlobStream
from daemon.source.body import Blob
from daemon.source.failure import BrokenBlobError, Reason, SourceFailure
from daemon.source.ledger import Ledger
from daemon.uv.least_rate import LeastRate

_CONTENT = bytes(range(256)) * 4_000  # about a megabyte
_CHUNK = 64_000
_BLOB = Blob(hashlib.sha256(_CONTENT).hexdigest(), len(_CONTENT), "one.whl", "files/one.whl")


@dataclass(slots=True)
class _Body:
    parts: Iterator[bytes | SourceFailure]
    skip_bytes: int = 0

    def read_some(self) -> bytes:
        part = next(self.parts, b"")
        if isinstance(part, SourceFailure):
            raise part
        return part

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@dataclass(slots=True)
class _Source:
    """A source with a content, and what it does at each request: an exception, or the bytes that it sends."""

    name: str
    content: bytes = _CONTENT
    script: list[SourceFailure | int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    sent_bytes: int = 0

    def open(self, blob: Blob, offset: int) -> _Body:
        assert blob == _BLOB
        self.offsets.append(offset)
        step = self.script.pop(0) if self.script else len(self.content)
        if isinstance(step, SourceFailure):
            raise step
        return _Body(self._parts(offset, step))

    def find_interpreter(self, path: str) -> Blob:
        raise SourceFailure("absent", path)

    def _parts(self, offset: int, most: int) -> Iterator[bytes | SourceFailure]:
        end = min(len(self.content), offset + most)
        for begin in range(offset, end, 10_000):
            part = self.content[begin : min(end, begin + 10_000)]
            self.sent_bytes += len(part)
            yield part
        if end < len(self.content):
            yield SourceFailure("cut", "the connection broke")


def _ledger(*sources: _Source) -> Ledger:
    return Ledger(tuple(source.name for source in sources), lambda _: None)


def _stream(ledger: Ledger, *sources: _Source, least: LeastRate | None = None) -> BlobStream:
    return BlobStream(_BLOB, sources, ledger, least, _CHUNK, wait=lambda _: None)


def _failures(ledger: Ledger, name: str) -> dict[Reason, int]:
    counts = next(count for count in ledger.counts() if count.name == name)
    return {reason: count for reason, count in counts.failures.items() if count}


def test_a_blob_comes_whole_from_the_first_source_that_has_it() -> None:
    lacking, first, second = (
        _Source("lacking", script=[SourceFailure("absent", "404")]),
        _Source("1"),
        _Source("2"),
    )
    ledger = _ledger(lacking, first, second)
    assert b"".join(_stream(ledger, lacking, first, second).chunks()) == _CONTENT
    assert (lacking.offsets, first.offsets, second.offsets) == ([0], [0], [])
    assert [count.received_bytes for count in ledger.counts()] == [0, len(_CONTENT), 0]
    assert _failures(ledger, "lacking") == {"absent": 1}


def test_ten_cuts_within_a_blob_are_no_second_byte_of_it() -> None:
    source = _Source("1", script=[90_000] * 10)
    ledger = _ledger(source)
    assert b"".join(_stream(ledger, source).chunks()) == _CONTENT
    assert source.offsets == [90_000 * number for number in range(11)]
    assert source.sent_bytes == len(_CONTENT)
    assert _failures(ledger, "1") == {"cut": 10}


def test_the_next_source_goes_on_where_one_gave_up() -> None:
    dying = _Source("dying", script=[300_000, *[SourceFailure("cut", "broken")] * 3])
    second = _Source("2")
    ledger = _ledger(dying, second)
    assert b"".join(_stream(ledger, dying, second).chunks()) == _CONTENT
    assert second.offsets == [300_000]
    assert dying.sent_bytes + second.sent_bytes == len(_CONTENT)


def test_a_wrong_blob_is_never_whole_and_comes_from_the_next_source_in_the_next_answer() -> None:
    wrong, right = _Source("wrong", _CONTENT[:-1] + b"\0"), _Source("right")
    ledger = _ledger(wrong, right)
    handed_on: list[bytes] = []
    with pytest.raises(BrokenBlobError, match="another file"):
        handed_on.extend(_stream(ledger, wrong, right).chunks())
    assert len(b"".join(handed_on)) < len(_CONTENT)
    assert b"".join(_stream(ledger, wrong, right).chunks()) == _CONTENT
    assert wrong.offsets == [0]  # it is not asked for this blob again
    assert right.sent_bytes == len(_CONTENT)
    assert _failures(ledger, "wrong") == {"wrong": 1}


def test_a_wrong_blob_of_one_chunk_is_replaced_within_the_answer() -> None:
    wrong, right = _Source("wrong", _CONTENT[:-1] + b"\0"), _Source("right")
    stream = _stream(_ledger(wrong, right), wrong, right)
    stream.chunk_bytes = len(_CONTENT)
    assert b"".join(stream.chunks()) == _CONTENT


def test_a_longer_file_is_wrong_however_it_begins() -> None:
    longer, right = _Source("longer", _CONTENT + b"more"), _Source("right")
    ledger = _ledger(longer, right)
    with pytest.raises(BrokenBlobError, match="a longer file"):
        list(_stream(ledger, longer, right).chunks())


def test_a_blob_with_a_wrong_part_of_an_unknown_source_is_sent_by_each_alone() -> None:
    # The first sends a wrong beginning and dies; the second one completes it.
    first = _Source("1", b"\xff" + _CONTENT[1:], [500_000, *[SourceFailure("cut", "broken")] * 3])
    second = _Source("2")
    ledger = Ledger(("1", "2"), lambda _: None, now=lambda: 0.0)
    with pytest.raises(BrokenBlobError):
        list(_stream(ledger, first, second).chunks())
    assert _failures(ledger, "2") == {"cut": 1}  # it is not blamed
    assert b"".join(_stream(ledger, first, second).chunks()) == _CONTENT
    assert second.offsets == [500_000, 0]


def test_the_error_names_each_source_and_the_one_that_denies_decides() -> None:
    denied = _Source("oci://one", script=[SourceFailure("denied", "answers 401; add a login")])
    lacking = _Source("file:///two", script=[SourceFailure("absent", "does not have it")])
    ledger = _ledger(denied, lacking)
    with pytest.raises(SourceDeniedError) as caught:
        list(_stream(ledger, denied, lacking).chunks())
    assert str(caught.value) == (
        "one.whl: no source sends it: oci://one: answers 401; add a login; file:///two: does not have it"
    )
    with pytest.raises(SourceError):
        list(_stream(_ledger(lacking), _Source("x", script=[SourceFailure("absent", "no")])).chunks())


def test_a_source_that_failed_is_not_asked_for_the_next_blob_at_once() -> None:
    down, second = _Source("down", script=[SourceFailure("unreachable", "no route")] * 9), _Source("2")
    clock = [0.0]
    warnings: list[str] = []
    ledger = Ledger(("down", "2"), warnings.append, now=lambda: clock[0])
    for _ in range(3):
        assert b"".join(_stream(ledger, down, second).chunks()) == _CONTENT
    assert down.offsets == [0]
    clock[0] = 31.0
    list(_stream(ledger, down, second).chunks())
    assert down.offsets == [0, 0]
    assert warnings == ["down: no route; it is not asked again for 30 s"]  # once, until it sends again


def test_a_source_that_drips_is_left_for_the_next_one() -> None:
    slow, second = _Source("slow"), _Source("2")
    clock = iter(range(100_000))  # each look is a second after the last one
    ledger = _ledger(slow, second)
    stream = BlobStream(
        _BLOB, [slow, second], ledger, LeastRate(50_000, 10.0), _CHUNK, wait=lambda _: None,
        now=lambda: float(next(clock)),
    )  # fmt: skip
    # Parts of 10,000 bytes a look are too slow, also from the second source.
    with pytest.raises(BrokenBlobError, match="too slow"):
        list(stream.chunks())
    assert slow.offsets == [0]
    assert 0 < second.offsets[0] <= slow.sent_bytes
    assert _failures(ledger, "slow") == {"slow": 1}


def test_a_client_that_reads_slowly_does_not_make_the_source_slow() -> None:
    source = _Source("1")
    clock = [0.0]
    stream = BlobStream(
        _BLOB,
        [source],
        _ledger(source),
        LeastRate(50_000, 1.0),
        _CHUNK,
        wait=lambda _: None,
        now=lambda: clock[0],
    )
    received = b""
    for chunk in stream.chunks():
        received += chunk
        clock[0] += 100.0
    assert received == _CONTENT


def test_a_source_that_drips_what_is_skipped_is_left_for_the_next_one() -> None:
    clock = [0.0]
    first, second = _Ignoring("first", clock=clock, script=[500_000]), _Source("second")
    ledger = _ledger(first, second)
    stream = BlobStream(
        _BLOB, (first, second), ledger, LeastRate(100_000, 30.0), _CHUNK,
        wait=lambda _: None, now=lambda: clock[0],
    )  # fmt: skip
    assert b"".join(stream.chunks()) == _CONTENT
    assert _failures(ledger, "first") == {"cut": 1, "slow": 1}
    assert second.offsets == [500_000]
    assert second.sent_bytes == len(_CONTENT) - 500_000


@dataclass(slots=True)
class _Ignoring(_Source):
    """A source that ignores ranges, and takes a second for each part that is sent again."""

    clock: list[float] = field(default_factory=list)

    def open(self, blob: Blob, offset: int) -> _Body:
        body = _Source.open(self, blob, 0)
        return _Body(self._slow(body.parts) if offset else body.parts, offset)

    def _slow(self, parts: Iterator[bytes | SourceFailure]) -> Iterator[bytes | SourceFailure]:
        for part in parts:
            self.clock[0] += 1.0
            yield part
