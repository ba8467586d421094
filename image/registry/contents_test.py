"""Reading and removing what a repository has, from a server that answers as a test says."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from image.errors import RegistryError
from image.oci.reference import parse_repository
from image.registry.client import Registry
from image.registry.contents import delete_manifest, list_tags, open_blob, read_manifest, read_small_blob
from image.registry.credentials import Credentials
from tests.registry.scripted_server import Answer, Request, Script, ScriptedServer, scripted_server

DIGEST = "sha256:" + "1" * 64


@contextmanager
def registry(script: Script) -> Iterator[tuple[Registry, ScriptedServer]]:
    with scripted_server(script) as server:
        repository = parse_repository(f"{server.host}/team/wheels")
        client = Registry(repository, Credentials("none"), insecure=False, jobs=1, environment={})
        client.prefix = "http"
        yield client, server


def test_tags_are_read_page_by_page() -> None:
    def script(request: Request) -> Answer:
        if "last=b" in request.path:
            return Answer(200, body=b'{"name": "x", "tags": ["c"]}')
        link = '</v2/team/wheels/tags/list?n=2&last=b>; rel="next"'
        return Answer(200, {"Link": link}, b'{"name": "x", "tags": ["a", "b"]}')

    with registry(script) as (client, server):
        assert list(list_tags(client)) == ["a", "b", "c"]
        assert len(server.requests) == 2


@pytest.mark.parametrize(("answer", "tags"), [(Answer(404), []), (Answer(200, body=b'{"tags": null}'), [])])
def test_a_repository_without_tags_has_none(answer: Answer, tags: list[str]) -> None:
    with registry(lambda _request: answer) as (client, _):
        assert list(list_tags(client)) == tags


@pytest.mark.parametrize("body", [b"", b"[]", b'{"x": 1}'])
def test_what_is_not_a_list_of_tags_is_refused(body: bytes) -> None:
    with registry(lambda _request: Answer(200, body=body)) as (client, _), pytest.raises(RegistryError):
        list(list_tags(client))


def test_a_missing_manifest_or_blob_is_none() -> None:
    with registry(lambda _request: Answer(404)) as (client, _):
        assert read_manifest(client, "v1", "application/x") is None
        assert read_small_blob(client, DIGEST) is None
        with open_blob(client, DIGEST, 0) as found:
            assert found is None


def test_a_manifest_that_is_too_large_is_not_read_to_its_end() -> None:
    with (
        registry(lambda _request: Answer(200, body=bytes(5 << 20))) as (client, _),
        pytest.raises(RegistryError, match="has more than"),
    ):
        read_manifest(client, "v1", "application/x")


@pytest.mark.parametrize(
    ("answer", "start"),
    [(Answer(206, {"Content-Range": "bytes 2-3/4"}, b"cd"), 2), (Answer(200, body=b"abcd"), 0)],
)
def test_a_blob_says_where_it_begins(answer: Answer, start: int) -> None:
    with registry(lambda _request: answer) as (client, server):
        with open_blob(client, DIGEST, 2) as found:
            assert found is not None
            assert found[0] == start
            assert b"".join(found[1]) == answer.body
        assert server.requests[0].headers["Range"] == "bytes=2-"


def test_content_that_a_server_calls_compressed_is_not_changed() -> None:
    packed = Answer(200, {"Content-Encoding": "gzip"}, b"\x1f\x8bx")
    with registry(lambda _request: packed) as (client, _), open_blob(client, DIGEST, 0) as found:
        assert found is not None
        assert b"".join(found[1]) == packed.body


def test_a_registry_that_does_not_delete_is_told_with_what_to_do() -> None:
    with (
        registry(lambda _request: Answer(405)) as (client, _),
        pytest.raises(RegistryError, match="does not delete; permit it"),
    ):
        delete_manifest(client, DIGEST)
    with registry(lambda _request: Answer(202)) as (client, _):
        assert delete_manifest(client, DIGEST)
    with registry(lambda _request: Answer(404)) as (client, _):
        assert not delete_manifest(client, DIGEST)
