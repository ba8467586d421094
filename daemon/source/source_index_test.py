"""The index on loopback, as a client meets it."""

import base64
import hashlib
import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from daemon.download_limit.rate_limit import RateLimit
from daemon.source.folder import FolderSource
from daemon.source.ledger import Ledger
from daemon.source.source_index import ORIGIN, SourceIndex
from gens.lock import LockedWheel
from gens.mirror_shape import file_path

_CONTENT = bytes(range(256)) * 40


def _wheel(content: bytes, name: str = "alpha") -> LockedWheel:
    sha256 = hashlib.sha256(content).hexdigest()
    return LockedWheel(name, "1.0+cu1", sha256, f"{name}-1.0+cu1-py3-none-any.whl", len(content))


_WHEEL = _wheel(_CONTENT)


@pytest.fixture
def source(tmp_path: Path) -> FolderSource:
    path = tmp_path / file_path(_WHEEL.sha256, _WHEEL.filename)
    path.parent.mkdir(parents=True)
    path.write_bytes(_CONTENT)
    return FolderSource("file:///m", tmp_path)


@pytest.fixture
def index(source: FolderSource) -> Iterator[SourceIndex]:
    with SourceIndex([(source,)], Ledger(("file:///m",), lambda _: None)) as index:
        yield index


def _get(index: SourceIndex, url: str, password: str | None = None) -> tuple[int, bytes]:
    proxy = urlsplit(index.variables["HTTP_PROXY"])
    pair = f"{proxy.username}:{proxy.password if password is None else password}"
    fields = {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    connection = http.client.HTTPConnection(str(proxy.hostname), proxy.port, timeout=60)
    connection.request("GET", url, headers=fields)
    answer = connection.getresponse()
    try:
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_wheel_is_listed_and_served_while_it_is_offered(index: SourceIndex, source: FolderSource) -> None:
    with index.offer([_WHEEL], (source,)):
        status, page = _get(index, f"{ORIGIN}/simple/alpha/")
        (file,) = json.loads(page)["files"]
        assert status == 200
        assert (file["hashes"], file["size"]) == ({"sha256": _WHEEL.sha256}, len(_CONTENT))
        assert _get(index, file["url"]) == (200, _CONTENT)
        assert index.failure_of(_WHEEL.sha256) is None
    assert _get(index, f"{ORIGIN}/simple/alpha/")[0] == 404
    assert _get(index, file["url"])[0] == 404


def test_nobody_without_the_password_is_served(index: SourceIndex, source: FolderSource) -> None:
    with index.offer([_WHEEL], (source,)):
        assert _get(index, f"{ORIGIN}/simple/alpha/", "another")[0] == 407


@pytest.mark.parametrize(
    "url", ["http://other.example/simple/alpha/", "http://wheels.monobase.internal:80/simple/alpha/"]
)
def test_another_host_is_refused(index: SourceIndex, source: FolderSource, url: str) -> None:
    with index.offer([_WHEEL], (source,)):
        assert _get(index, url)[0] == 403


@pytest.mark.parametrize(
    "path", ["", "f", "f/", "f/../x", f"f/{'0' * 64}/a.whl", "simple", "simple/beta/", "x"]
)
def test_what_is_not_offered_is_not_found(index: SourceIndex, source: FolderSource, path: str) -> None:
    with index.offer([_WHEEL], (source,)):
        assert _get(index, f"{ORIGIN}/{path}")[0] == 404


def _url(wheel: LockedWheel) -> str:
    return f"{ORIGIN}/f/{wheel.sha256}/{wheel.filename.replace('+', '%2B')}"


def test_what_no_source_has_is_answered_when_the_others_have_come(
    index: SourceIndex, source: FolderSource
) -> None:
    lacking = _wheel(b"lacking", "beta")
    answers: dict[str, int] = {}
    with index.offer([_WHEEL, lacking], (source,)):
        waiting = threading.Thread(target=lambda: answers.update(beta=_get(index, _url(lacking))[0]))
        waiting.start()
        answers["alpha"] = _get(index, _url(_WHEEL))[0]
        index.arrived(_WHEEL)  # as the fetch sees it in uv's cache
        waiting.join()
    assert answers == {"alpha": 200, "beta": 404}
    assert "file:///m: files/" in str(index.failure_of(lacking.sha256))


class _Recorder(RateLimit):
    """A limit that lets all pass, and notes how much it was asked for."""

    passed: list[int]

    def delay_s(self, size_bytes: int, now_s: float) -> float:
        assert now_s > 0
        self.passed.append(size_bytes)
        return 0.0


def test_the_limit_of_all_downloads_counts_each_byte_in_its_chunks(source: FolderSource) -> None:
    limit = _Recorder(200_000)
    limit.passed = []
    ledger = Ledger(("file:///m",), lambda _: None)
    with SourceIndex([(source,)], ledger, limit=limit) as index, index.offer([_WHEEL], (source,)):
        assert _get(index, _url(_WHEEL)) == (200, _CONTENT)
    assert sum(limit.passed) == len(_CONTENT)


def test_with_a_limit_no_piece_is_larger_than_what_lets_all_downloads_take_turns(
    source: FolderSource,
) -> None:
    limit = RateLimit(1_000_000_000)
    with SourceIndex([(source,)], Ledger(("file:///m",), lambda _: None), limit=limit) as index:
        content = bytes(range(256)) * 1_000
        pieces = list(index.paced(content))
        assert b"".join(pieces) == content
        assert {len(piece) for piece in pieces[:-1]} == {limit.chunk_bytes}
    with SourceIndex([(source,)], Ledger(("file:///m",), lambda _: None)) as index:
        assert list(index.paced(content)) == [content]
