import hashlib
from pathlib import Path

import pytest

from image.errors import RegistryError, TransientError
from image.oci.descriptor import LAYER_GZIP, Descriptor
from image.oci.reference import parse_repository
from image.registry.client import Registry
from image.registry.credentials import Credentials
from image.registry.patience import Patience
from image.registry.upload import Transfer, upload_blob
from tests.registry.scripted_server import Answer, Request, ScriptedServer, scripted_server

CONTENT = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(100))
BLOB = Descriptor(LAYER_GZIP, f"sha256:{hashlib.sha256(CONTENT).hexdigest()}", len(CONTENT))
UPLOAD = "/v2/team/image/blobs/uploads/"


class Uploads:
    """A registry's uploads, which fail where a test says so: one answer for each request of a method."""

    def __init__(self, **failures: list[Answer | None]) -> None:
        self.failures = failures
        self.received = b""
        self.alive = False
        self.blobs: set[str] = set()
        self.told: list[int] = []

    def answer(self, request: Request) -> Answer:
        planned = self.failures.get(request.method, [])
        failure = planned.pop(0) if planned else None
        if failure is not None and failure.status >= 500:
            return failure
        done = self._do(request)
        return failure or done

    def _do(self, request: Request) -> Answer:
        here = {"Location": f"{UPLOAD}1"}
        match request.method:
            case "HEAD":
                return Answer(200 if request.path.rpartition("/")[2] in self.blobs else 404)
            case "POST":
                self.received, self.alive = b"", True
                return Answer(202, here)
            case "GET" if self.alive:
                return Answer(204, {**here, "Range": f"0-{max(0, len(self.received) - 1)}"})
            case "PATCH" if self.alive:
                self.received += request.body
                return Answer(202, {**here, "Range": f"0-{len(self.received) - 1}"})
            case "PUT" if self.alive:
                self.alive = False
                digest = f"sha256:{hashlib.sha256(self.received).hexdigest()}"
                if request.path.endswith(digest.replace(":", "%3A")):
                    self.blobs.add(digest)
                    return Answer(201)
                return Answer(400, body=b'{"errors": [{"code": "DIGEST_INVALID"}]}')
        return Answer(404)

    def upload(
        self, path: Path, *, chunk_bytes: int = 0, retries: int = 3
    ) -> tuple[Transfer, ScriptedServer]:
        path.write_bytes(CONTENT)
        with scripted_server(self.answer) as server:
            registry = Registry(
                parse_repository(f"{server.host}/team/image"),
                Credentials("none"), insecure=False, jobs=1, environment={},
            )  # fmt: skip
            registry.prefix = "http"
            transfer = upload_blob(
                registry, BLOB, path, Patience(retries, lambda _error, _pause: None, lambda _: None),
                chunk_bytes=chunk_bytes, advance=self.told.append,
            )  # fmt: skip
        return transfer, server


BROKEN = Answer(503)


def test_a_blob_is_one_request_between_opening_and_closing(tmp_path: Path) -> None:
    uploads = Uploads()

    transfer, server = uploads.upload(tmp_path / "blob")

    assert [request.method for request in server.requests] == ["POST", "PATCH", "PUT"]
    assert "Content-Range" not in server.requests[1].headers
    assert transfer == Transfer(len(CONTENT), 0)
    assert uploads.blobs == {BLOB.digest}


def test_chunks_are_numbered_and_the_smallest_length_of_the_registry_holds(tmp_path: Path) -> None:
    opened = Answer(202, {"Location": f"{UPLOAD}1", "OCI-Chunk-Min-Length": "1500"})

    _, server = Uploads(POST=[opened]).upload(tmp_path / "blob", chunk_bytes=1000)

    ranges = [request.headers.get("Content-Range") for request in server.requests[1:-1]]
    assert ranges == ["0-1499", "1500-2999", "3000-3199"]


def test_a_chunk_that_broke_is_sent_again_from_what_the_registry_has(tmp_path: Path) -> None:
    uploads = Uploads(PATCH=[None, BROKEN])

    transfer, server = uploads.upload(tmp_path / "blob", chunk_bytes=2000)

    assert [request.method for request in server.requests] == [
        "POST",
        "PATCH",
        "PATCH",
        "GET",
        "PATCH",
        "PUT",
    ]
    assert transfer == Transfer(len(CONTENT) + 1200, 1)
    assert sum(uploads.told) == len(CONTENT), "what was lost is taken back"


def test_an_upload_that_the_registry_lost_starts_again(tmp_path: Path) -> None:
    uploads = Uploads(PATCH=[BROKEN], GET=[Answer(404)])

    transfer, server = uploads.upload(tmp_path / "blob")

    assert [request.method for request in server.requests].count("POST") == 2
    assert transfer.resumed == 0
    assert uploads.blobs == {BLOB.digest}
    assert sum(uploads.told) == len(CONTENT)


def test_a_lost_last_answer_is_no_reason_to_send_a_blob_again(tmp_path: Path) -> None:
    uploads = Uploads(PUT=[])

    def put_and_lose(request: Request) -> Answer:
        answer = answered(request)
        return BROKEN if request.method == "PUT" else answer

    answered = uploads.answer
    uploads.answer = put_and_lose  # type: ignore[method-assign]
    transfer, server = uploads.upload(tmp_path / "blob")

    assert [request.method for request in server.requests] == ["POST", "PATCH", "PUT", "GET", "HEAD"]
    assert transfer.sent_bytes == len(CONTENT)


def test_a_registry_that_does_not_take_the_rest_gets_it_all_again(tmp_path: Path) -> None:
    uploads = Uploads(PATCH=[None, BROKEN, Answer(416)], GET=[None, Answer(404)])

    _, server = uploads.upload(tmp_path / "blob", chunk_bytes=2000)

    assert [request.method for request in server.requests].count("POST") == 2
    assert uploads.blobs == {BLOB.digest}


def test_parts_that_met_wrongly_are_sent_again_as_a_whole_once(tmp_path: Path) -> None:
    # The registry says that it has less than it has: the rest overlaps.
    lie = Answer(204, {"Location": f"{UPLOAD}1", "Range": "0-999"})
    uploads = Uploads(PATCH=[None, BROKEN], GET=[lie, Answer(404)])

    transfer, _ = uploads.upload(tmp_path / "blob", chunk_bytes=2000)

    assert uploads.blobs == {BLOB.digest}
    assert transfer.sent_bytes > 2 * len(CONTENT)


def test_a_digest_that_the_registry_refuses_ends_the_upload(tmp_path: Path) -> None:
    refused = Answer(400, body=b'{"errors": [{"code": "DIGEST_INVALID"}]}')

    with pytest.raises(RegistryError, match=f"DIGEST_INVALID .*{BLOB.digest}"):
        Uploads(PUT=[refused]).upload(tmp_path / "blob")


def test_failures_without_progress_add_up(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="answers 503"):
        Uploads(PATCH=[BROKEN] * 9).upload(tmp_path / "blob", retries=2)


def test_failures_with_progress_do_not_add_up(tmp_path: Path) -> None:
    planned = [answer for _ in range(6) for answer in (None, BROKEN)]

    transfer, _ = Uploads(PATCH=planned).upload(tmp_path / "blob", chunk_bytes=400, retries=1)

    assert transfer.resumed == 6
