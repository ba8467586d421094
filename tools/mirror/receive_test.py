"""Receiving from several sources: the first that has the blob, resumed, and no wrong byte at the end."""

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gens.mirror_shape import InterpreterConfig
from image.errors import AccessError, TransientError, UnreachableError
from image.registry.patience import Patience
from tools.mirror.blob_part import BlobPart
from tools.mirror.errors import AbsentError, LackingError
from tools.mirror.receive import Supply
from tools.mirror.source import Stream
from tools.mirror.wanted import Item

CONTENT = bytes(range(256)) * 40
ITEM = Item(
    "a-1-py3-none-any.whl", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), "files/x/a", "a", ("",),
    ("g00001-a", "g00001-b", "g00001-c", "g00001-d"),
)  # fmt: skip


@dataclass
class Fake:
    """A source of one content; each opening may end early, or fail."""

    name: str
    content: bytes = CONTENT
    cuts: list[int] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ranges: bool = True

    def locate(self, _item: Item) -> None:
        if self.failures:
            raise self.failures.pop(0)

    @contextmanager
    def open(self, _item: Item, start: int) -> Iterator[Stream]:
        self.starts.append(start)
        if self.failures:
            raise self.failures.pop(0)
        begin = start if self.ranges else 0
        end = begin + self.cuts.pop(0) if self.cuts else len(self.content)
        yield Stream(begin, iter([self.content[begin:end]]))

    def local_path(self, _item: Item) -> Path | None:
        return None

    def interpreters(self) -> Mapping[str, InterpreterConfig]:
        return {}


def supply(sources: Sequence[Fake], advanced: list[int] | None = None, retries: int = 2) -> Supply:
    count = [] if advanced is None else advanced
    return Supply(sources, lambda: Patience(retries, lambda *_: None, lambda _seconds: None), count.append)


def received(sources: Sequence[Fake], before: bytes = b"", advanced: list[int] | None = None) -> bytes:
    file = io.BytesIO(before)
    supply(sources, advanced).receive(ITEM, BlobPart(file, Path("part")))
    return file.getvalue()


def test_many_cuts_go_on_where_they_were_as_long_as_each_brings_something() -> None:
    source = Fake("a", cuts=[1000] * 10)
    advanced: list[int] = []
    assert received([source], advanced=advanced) == CONTENT
    assert source.starts == [1000 * number for number in range(11)]
    assert sum(advanced) == len(CONTENT)


def test_a_source_that_brings_nothing_more_gives_way_to_the_next_which_goes_on() -> None:
    first, second = Fake("a", cuts=[100, 0, 0, 0]), Fake("b")
    assert received([first, second]) == CONTENT
    assert second.starts == [100]


def test_a_source_without_ranges_sends_all_again() -> None:
    source = Fake("a", cuts=[500], ranges=False)
    advanced: list[int] = []
    assert received([source], advanced=advanced) == CONTENT
    assert sum(advanced) == len(CONTENT)


def test_a_wrong_beginning_of_an_earlier_run_is_dropped_once() -> None:
    source = Fake("a")
    assert received([source], before=b"wrong") == CONTENT
    assert source.starts == [5, 0]


def test_a_whole_beginning_of_an_earlier_run_asks_nobody() -> None:
    source = Fake("a")
    assert received([source], before=CONTENT) == CONTENT
    assert source.starts == []


@pytest.mark.parametrize("wrong", [bytes(len(CONTENT)), CONTENT + b"x", CONTENT * 3])
def test_a_wrong_blob_is_never_the_result_and_the_next_source_is_asked(wrong: bytes) -> None:
    assert received([Fake("a", wrong), Fake("b")]) == CONTENT
    with pytest.raises(LackingError, match="a: has another file under this name: expected sha256:") as caught:
        received([Fake("a", wrong)])
    assert caught.value.exit_code == 7


def test_the_message_names_locks_sources_and_what_to_do() -> None:
    with pytest.raises(LackingError) as caught:
        received([Fake("a", failures=[AbsentError("a: answers 404")]), Fake("b", bytes(len(CONTENT)))])
    said = str(caught.value)
    assert said.startswith(
        "a-1-py3-none-any.whl (of g00001-a, g00001-b, g00001-c and 1 more): cannot be had: a"
    )
    assert "; b: has another file" in said
    assert said.endswith("with --from, such as a folder with the wheel or another mirror")


@pytest.mark.parametrize(
    ("error", "exit_code"), [(UnreachableError("a: is down"), 4), (AccessError("a: denies"), 9)]
)
def test_a_source_that_fails_for_good_is_not_asked_for_the_next_blob(
    error: Exception, exit_code: int
) -> None:
    source = Fake("a", failures=[error] * 3)
    several = supply([source], retries=0)
    for _ in range(2):
        with pytest.raises(LackingError) as caught:
            several.receive(ITEM, BlobPart(io.BytesIO(), Path("part")))
        assert caught.value.exit_code == exit_code
    assert len(source.starts) == 1
    assert "not asked again" in str(caught.value)


def test_a_busy_source_is_located_again() -> None:
    source = Fake("a", failures=[TransientError("a: answers 503")])
    supply([source]).locate(ITEM)
    assert source.failures == []
