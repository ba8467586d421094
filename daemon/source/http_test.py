"""Sources on the web: ranges, redirects, logins, tokens that expire, proxies, peers."""

import base64
import hashlib
import itertools
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import pytest

from daemon.download_limit.upstream_proxy import UpstreamProxies
from daemon.source.blob_stream import BlobStream
from daemon.source.body import Blob, Source
from daemon.source.failure import SourceFailure
from daemon.source.http_client import HttpAnswer, HttpClient, place_of, untrusted
from daemon.source.location import parse_location
from daemon.source.source_index import SourceIndex
from daemon.source.sources import SourceOptions, serve_sources
from gens.errors import CredentialsError

_CONTENT = bytes(range(256)) * 2_000
_SHA256 = hashlib.sha256(_CONTENT).hexdigest()
_BLOB = Blob(_SHA256, len(_CONTENT), "a.whl", f"files/{_SHA256}/a.whl")
_WORD = "right horse"
_BASIC = "Basic " + base64.b64encode(f"ada:{_WORD}".encode()).decode()
_CLOSED = "http://127.0.0.1:9"


@dataclass(frozen=True, slots=True)
class _Request:
    path: str
    fields: Mapping[str, str]

    @property
    def authorization(self) -> str:
        return self.fields.get("Authorization", "")

    @property
    def start(self) -> int:
        return int(self.fields.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes = b""
    fields: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None


Behaviour = Callable[[_Request], _Answer]


@dataclass(slots=True)
class _Server:
    port: int
    connections: int = 0
    requests: list[_Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def _server(behave: Behaviour) -> Iterator[_Server]:
    found = _Server(0)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            found.connections += 1

        def do_GET(self) -> None:
            request = _Request(self.path, dict(self.headers))
            found.requests.append(request)
            answer = behave(request)
            self.send_response(answer.status)
            for name, value in answer.fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body[: answer.cut_after])
            self.close_connection = self.close_connection or answer.cut_after is not None

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def _blob(request: _Request, cut_after: int | None = None) -> _Answer:
    if not request.start:
        return _Answer(200, _CONTENT, {}, cut_after)
    span = f"bytes {request.start}-{len(_CONTENT) - 1}/{len(_CONTENT)}"
    return _Answer(206, _CONTENT[request.start :], {"Content-Range": span}, cut_after)


@contextmanager
def _index(
    *sources: str,
    variables: Mapping[str, str] | None = None,
    peers: tuple[str, int] | None = None,
    registry_config: Path | None = None,
) -> Iterator[tuple[SourceIndex, list[str]]]:
    warnings: list[str] = []
    options = SourceOptions(tuple(map(parse_location, sources)), registry_config, peers)
    with serve_sources(options, {"HOME": "/nowhere", **(variables or {})}, warnings.append) as index:
        assert index is not None
        yield index, warnings


def _sources(index: SourceIndex) -> tuple[Source, ...]:
    return index.ways[0] or ()


def _received(index: SourceIndex) -> bytes:
    stream = BlobStream(_BLOB, _sources(index), index.ledger, chunk_bytes=100_000, wait=lambda _: None)
    return b"".join(stream.chunks())


def test_cuts_are_resumed_by_a_range() -> None:
    cuts = [100_000] * 4
    with (
        _server(lambda request: _blob(request, cuts.pop() if cuts else None)) as server,
        _index(f"{server.url}/") as (index, _),
    ):
        assert _received(index) == _CONTENT
        assert [request.start for request in server.requests] == [0, 100_000, 200_000, 300_000, 400_000]


def test_a_connection_serves_one_blob_after_another() -> None:
    with _server(_blob) as server, _index(f"{server.url}/") as (index, _):
        for _ in range(3):
            assert _received(index) == _CONTENT
        assert (len(server.requests), server.connections) == (3, 1)


def test_a_server_that_ignores_a_range_is_read_from_its_beginning() -> None:
    cuts = [300_000]
    with (
        _server(lambda _: _Answer(200, _CONTENT, {}, cuts.pop() if cuts else None)) as server,
        _index(f"{server.url}/") as (index, _),
    ):
        assert _received(index) == _CONTENT
        assert len(server.requests) == 2


def test_a_redirect_gets_no_credentials_on_another_host() -> None:
    with _server(_blob) as bucket:
        moved = {"Location": f"{bucket.url}/bucket?signature=word-of-the-bucket"}
        with (
            _server(lambda _: _Answer(307, b"", moved)) as server,
            _index(f"http://ada:{_WORD.replace(' ', '%20')}@127.0.0.1:{server.port}/") as (index, warnings),
        ):
            assert _received(index) == _CONTENT
            assert server.requests[0].authorization == _BASIC
            assert bucket.requests[0].authorization == ""
        assert warnings == []


def test_the_url_of_a_redirect_is_in_no_message() -> None:
    with _server(lambda _: _Answer(403)) as bucket:
        moved = {"Location": f"{bucket.url}/bucket?signature=word-of-the-bucket"}
        with (
            _server(lambda _: _Answer(307, b"", moved)) as server,
            _index(f"{server.url}/") as (index, warnings),
            pytest.raises(Exception, match="answers 403") as caught,
        ):
            _received(index)
        assert "word-of-the-bucket" not in f"{caught.value} {warnings}"


@pytest.mark.parametrize(
    "location", ["http://", "ftp://a.example/b", "/again", "http://[zz/x", "http://a..b/x", "/a b"]
)
def test_a_redirect_that_is_no_way_is_a_failure(location: str) -> None:
    with (
        _server(lambda _: _Answer(307, b"", {"Location": location})) as server,
        _index(f"{server.url}/") as (index, _),
        pytest.raises(SourceFailure, match=r"redirects|leads|answers 307|cannot be reached"),
    ):
        _sources(index)[0].open(_BLOB, 0)


def test_a_file_of_another_length_is_refused_before_a_byte_of_it() -> None:
    with (
        _server(lambda _: _Answer(200, b"<html>Log in!</html>")) as server,
        _index(f"{server.url}/") as (index, _),
        pytest.raises(SourceFailure, match="sends 20 bytes in place of 512,000"),
    ):
        _sources(index)[0].open(_BLOB, 0)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(404, "absent"), (401, "denied"), (403, "denied"), (429, "unreachable"), (500, "unreachable")],
)
def test_a_status_is_a_reason(status: int, reason: str) -> None:
    with (
        _server(lambda _: _Answer(status, b"", {"Retry-After": "77"})) as server,
        _index(f"{server.url}/") as (index, _),
    ):
        with pytest.raises(SourceFailure) as caught:
            _sources(index)[0].open(_BLOB, 0)
        assert (caught.value.reason, caught.value.wait_s) == (
            reason,
            77.0 if reason == "unreachable" else None,
        )


def test_a_host_where_nobody_listens_is_named_with_what_to_do() -> None:
    with _index(f"{_CLOSED}/") as (index, _), pytest.raises(SourceFailure) as caught:
        _sources(index)[0].open(_BLOB, 0)
    assert caught.value.reason == "unreachable"
    assert caught.value.text == (
        "127.0.0.1:9 cannot be reached: Connection refused; check its address and the network"
    )


def test_a_login_is_read_from_netrc(tmp_path: Path) -> None:
    path = tmp_path / "netrc"
    path.write_text(f"machine 127.0.0.1 login ada password {_WORD.replace(' ', '-')}\n")
    with (
        _server(_blob) as server,
        _index(f"{server.url}/", variables={"NETRC": str(path)}) as (index, _),
    ):
        assert _received(index) == _CONTENT
        pair = base64.b64encode(b"ada:right-horse").decode()
        assert server.requests[0].authorization == f"Basic {pair}"


@dataclass(slots=True)
class _Registry:
    """A registry with a token service; each token is right for a number of requests."""

    uses: int
    cuts: list[int]
    issued: int = 0
    used: int = 0
    logins: list[str] = field(default_factory=list)

    def behave(self, request: _Request) -> _Answer:
        if request.path.startswith("/token?"):
            self.logins.append(request.authorization)
            self.issued += 1
            self.used = 0
            return _Answer(200, json.dumps({"token": f"token-number-{self.issued}"}).encode())
        self.used += 1
        if request.authorization != f"Bearer token-number-{self.issued}" or self.used > self.uses:
            host = request.fields["Host"]
            challenge = f'Bearer realm="http://{host}/token",service="s",scope="repository:w:pull"'
            return _Answer(401, b"{}", {"WWW-Authenticate": challenge})
        assert request.path == f"/v2/w/blobs/sha256:{_SHA256}"
        return _blob(request, self.cuts.pop(0) if self.cuts else None)


def _config(path: Path, host: str) -> Path:
    pair = base64.b64encode(f"ada:{_WORD}".encode()).decode()
    path.write_text(json.dumps({"auths": {host: {"auth": pair}}}))
    return path


def test_a_token_that_expires_within_a_blob_is_renewed_and_the_blob_goes_on(tmp_path: Path) -> None:
    registry = _Registry(uses=1, cuts=[50_000] * 5)
    with _server(registry.behave) as server:
        host = f"127.0.0.1:{server.port}"
        config = _config(tmp_path / "config.json", host)
        with _index(f"oci+http://{host}/w", registry_config=config) as (index, warnings):
            assert _received(index) == _CONTENT
        starts = [request.start for request in server.requests if request.authorization.startswith("Bearer ")]
        assert sorted(set(starts)) == [50_000 * number for number in range(6)]
        assert 0 not in starts[1:]
    assert registry.issued == 6
    assert set(registry.logins) == {_BASIC}
    assert _WORD not in str(warnings)


def test_a_registry_on_loopback_is_reached_by_plain_http() -> None:
    registry = _Registry(uses=9, cuts=[])
    with _server(registry.behave) as server, _index(f"oci://127.0.0.1:{server.port}/w") as (index, _):
        assert _received(index) == _CONTENT
    assert registry.logins == [""]


def test_a_token_service_that_denies_is_a_denied_source(tmp_path: Path) -> None:
    def behave(request: _Request) -> _Answer:
        if request.path.startswith("/token"):
            return _Answer(403)
        realm = f'Bearer realm="http://{request.fields["Host"]}/token",service="s"'
        return _Answer(401, b"", {"WWW-Authenticate": realm})

    with _server(behave) as server:
        config = _config(tmp_path / "config.json", f"127.0.0.1:{server.port}")
        with _index(f"oci://127.0.0.1:{server.port}/w", registry_config=config) as (index, _):
            with pytest.raises(SourceFailure) as caught:
                _sources(index)[0].open(_BLOB, 0)
            assert caught.value.reason == "denied"
            assert f"{config} (user ada): correct the login for it" in caught.value.text


def test_a_docker_configuration_that_is_malformed_stops_the_daemon_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with (
        pytest.raises(CredentialsError, match="is not JSON"),
        _index("oci://r.example/w", registry_config=tmp_path / "config.json"),
    ):
        pass


def test_plain_http_goes_through_the_proxy_of_the_machine() -> None:
    with (
        _server(_blob) as proxy,
        _index(
            "http://mirror.invalid/", variables={"HTTP_PROXY": f"http://me:word@127.0.0.1:{proxy.port}"}
        ) as (
            index,
            _,
        ),
    ):
        assert _received(index) == _CONTENT
    (request,) = proxy.requests
    assert request.path == f"http://mirror.invalid/{_BLOB.path}"
    assert request.fields["Proxy-Authorization"] == "Basic " + base64.b64encode(b"me:word").decode()


def test_peers_are_asked_by_the_digest_and_get_the_source_to_go_to(tmp_path: Path) -> None:
    registry = _Registry(uses=9, cuts=[])
    with _server(registry.behave) as server, _server(_blob) as engine:
        host = f"127.0.0.1:{server.port}"
        config = _config(tmp_path / "config.json", host)
        peers = ("127.0.0.1", engine.port)
        with _index(f"oci+http://{host}/w", registry_config=config, peers=peers) as (index, warnings):
            assert _received(index) == _CONTENT
    (request,) = engine.requests
    assert request.path == f"/v2/w/blobs/sha256:{_SHA256}"
    fields = {name: value for name, value in request.fields.items() if name.startswith("X-Dragonfly")}
    assert fields == {
        "X-Dragonfly-Use-P2P": "true",
        "X-Dragonfly-Registry": f"http://{host}",
        "X-Dragonfly-Content-For-Calculating-Task-ID": f"sha256:{_SHA256}",
        "X-Dragonfly-Prefetch": "true",
    }
    assert request.authorization == "Bearer token-number-1"  # of the registry, which the engine goes to
    assert not any("/blobs/" in one.path for one in server.requests)
    assert warnings == []


def test_a_poisoned_peer_is_gone_past() -> None:
    poisoned = _CONTENT[:-1] + b"\0"
    with (
        _server(_blob) as server,
        _server(lambda _: _Answer(200, poisoned)) as engine,
        _index(f"{server.url}/", peers=("127.0.0.1", engine.port)) as (index, warnings),
    ):
        with pytest.raises(Exception, match="another file"):
            _received(index)
        assert _received(index) == _CONTENT
        assert (len(engine.requests), len(server.requests)) == (1, 1)
        (warning,) = warnings
        assert warning.startswith(f"{server.url}/ by peers: a.whl: sent another file")


def test_without_an_engine_the_source_is_asked_with_one_warning() -> None:
    with (
        _server(_blob) as server,
        _index(f"{server.url}/", peers=("127.0.0.1", 9)) as (index, warnings),
    ):
        assert _received(index) == _received(index) == _CONTENT
        (warning,) = warnings
        assert warning.startswith(f"{server.url}/ by peers: 127.0.0.1:9 cannot be reached")


@pytest.mark.parametrize("challenge", ['Bearer realm="{url}/token",service="s"', 'Basic realm="r"'])
def test_a_host_that_a_registry_redirects_to_cannot_ask_for_its_login(tmp_path: Path, challenge: str) -> None:
    with _server(lambda _: _Answer(200, b'{"token":"t"}')) as tokens:
        asked = {"WWW-Authenticate": challenge.format(url=tokens.url)}
        with _server(lambda _: _Answer(401, b"", asked)) as bucket:
            moved = {"Location": f"{bucket.url}/bucket?signature=word-of-the-bucket"}
            with _server(lambda _: _Answer(307, b"", moved)) as server:
                config = _config(tmp_path / "config.json", f"127.0.0.1:{server.port}")
                with _index(f"oci+http://127.0.0.1:{server.port}/w", registry_config=config) as (index, _):
                    with pytest.raises(SourceFailure) as caught:
                        _sources(index)[0].open(_BLOB, 0)
                    assert caught.value.reason == "denied"
                    text = f"redirects to 127.0.0.1:{bucket.port}, which answers 401"
                    assert text in caught.value.text
            assert not any(request.authorization for request in bucket.requests)
        assert tokens.requests == []


def test_a_login_that_is_replaced_while_the_daemon_runs_is_read_again(tmp_path: Path) -> None:
    words = ["first word", "second word", "third word"]
    current: list[str] = []

    def basic(word: str) -> str:
        return "Basic " + base64.b64encode(f"ada:{word}".encode()).decode()

    def behave(request: _Request) -> _Answer:
        if request.authorization in map(basic, current):
            return _blob(request)
        if request.authorization == basic("second word"):
            return _Answer(403)  # as a registry whose passwords last some hours
        return _Answer(401, b"", {"WWW-Authenticate": 'Basic realm="r"'})

    with _server(behave) as server:
        host = f"127.0.0.1:{server.port}"
        config = tmp_path / "config.json"
        config.write_text("{}")
        with _index(f"oci+http://{host}/w", registry_config=config) as (index, _):
            with pytest.raises(SourceFailure, match="add a login"):
                _sources(index)[0].open(_BLOB, 0)
            for word in words:
                current[:] = [word]
                config.write_text(json.dumps({"auths": {host: {"username": "ada", "password": word}}}))
                with _sources(index)[0].open(_BLOB, 0) as body:
                    assert body.read_some()
            current.clear()
            config.write_text("{")
            with pytest.raises(SourceFailure, match="is not JSON"):
                _sources(index)[0].open(_BLOB, 0)


def test_the_first_challenge_that_can_be_answered_is(tmp_path: Path) -> None:
    def behave(request: _Request) -> _Answer:
        if request.path.startswith("/token?"):
            return _Answer(200, b'{"token":"t"}')
        if request.authorization in {"Bearer t", _BASIC}:
            return _blob(request)
        bearer = f'Bearer realm="http://{request.fields["Host"]}/token"'
        return _Answer(401, b"", {"WWW-Authenticate": f'Negotiate, Basic realm="r", {bearer}'})

    with _server(behave) as server:
        host = f"127.0.0.1:{server.port}"
        with _index(f"oci+http://{host}/w") as (index, _):
            assert _received(index) == _CONTENT
        assert server.requests[-1].authorization == "Bearer t"
        with _index(f"oci+http://{host}/w", registry_config=_config(tmp_path / "c", host)) as (index, _):
            assert _received(index) == _CONTENT
        assert server.requests[-1].authorization == _BASIC


def test_a_registry_on_loopback_with_tls_that_failed_once_is_not_taken_for_one_without() -> None:
    # A server with TLS answers 400 to plain HTTP. Here TLS always fails.
    statuses = [400]

    def behave(request: _Request) -> _Answer:
        return _Answer(statuses.pop()) if statuses else _blob(request)

    with _server(behave) as server, _index(f"oci://127.0.0.1:{server.port}/w") as (index, _):
        with pytest.raises(SourceFailure, match="does not speak TLS"):
            _sources(index)[0].open(_BLOB, 0)
        assert _received(index) == _CONTENT


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nA: "])
def test_a_head_that_drips_is_left(head: bytes) -> None:
    closing = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(head)
            while not closing.is_set():
                try:
                    connection.sendall(b"a\r\nA: " if head else b"H")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,), daemon=True)
        thread.start()
        client = HttpClient(UpstreamProxies({}), now=itertools.count(0.0, 25.0).__next__)
        with pytest.raises(SourceFailure, match="does not answer"):
            client.request(f"http://127.0.0.1:{listener.getsockname()[1]}/", {})
        closing.set()
        thread.join()


def test_a_token_that_drips_is_left() -> None:
    with _server(lambda _: _Answer(200, bytes(900_000))) as server:
        times = iter([*[0.0] * 100, 61.0])
        client = HttpClient(UpstreamProxies({}), now=lambda: next(times, 61.0))
        with client.request(f"{server.url}/token", {}) as answer:
            for _ in itertools.takewhile(lambda time_s: not time_s, times):
                pass
            times = iter([0.0])
            with pytest.raises(SourceFailure, match="answers for more than 60 s"):
                answer.read_all(1_000_000)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"Content-Encoding": "gzip"}, "sends the file compressed ('gzip'); turn compression off"),
        ({}, "sends 20 bytes in place of 512,000"),
    ],
)
def test_a_file_that_is_not_sent_as_it_is_is_refused_with_what_to_do(
    fields: Mapping[str, str], text: str
) -> None:
    with (
        _server(lambda _: _Answer(200, bytes(20), fields)) as server,
        _index(f"{server.url}/") as (index, _),
        pytest.raises(SourceFailure) as caught,
    ):
        _sources(index)[0].open(_BLOB, 0)
    assert text in caught.value.text
    assert caught.value.reason == "wrong"


def test_an_archive_that_a_server_calls_compressed_and_sends_as_it_is_is_right() -> None:
    with (
        _server(lambda _: _Answer(200, _CONTENT, {"Content-Encoding": "x-gzip"})) as server,
        _index(f"{server.url}/") as (index, _),
    ):
        assert _received(index) == _CONTENT


def test_a_range_that_was_not_requested_is_refused() -> None:
    with (
        _server(lambda _: _Answer(206, _CONTENT, {"Content-Range": "bytes 7-9/10"})) as server,
        _index(f"{server.url}/") as (index, _),
        pytest.raises(SourceFailure, match="the range 'bytes 7-9/10' to a request from byte 0 on"),
    ):
        _sources(index)[0].open(_BLOB, 0)


@pytest.mark.parametrize("said", [b"\x00\xff\r\n", b"SSH-2.0-OpenSSH\r\n", b"HTTP/2.0 200 OK\r\n\r\n"])
def test_what_does_not_speak_http_is_named_without_its_bytes(said: bytes) -> None:
    def answer(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(said)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,), daemon=True)
        thread.start()
        with (
            _index(f"http://127.0.0.1:{listener.getsockname()[1]}/") as (index, _),
            pytest.raises(SourceFailure, match=r"does not answer in HTTP/1\.1") as caught,
        ):
            _sources(index)[0].open(_BLOB, 0)
        thread.join()
    assert caught.value.text.isprintable()


def test_a_server_without_tls_is_told_from_one_that_is_down() -> None:
    with (
        _server(_blob) as server,
        _index(f"https://127.0.0.1:{server.port}/") as (index, _),
        pytest.raises(SourceFailure, match="does not speak TLS; correct the port, or write http://"),
    ):
        _sources(index)[0].open(_BLOB, 0)


def test_a_source_that_is_named_twice_is_asked_once() -> None:
    with _server(lambda _: _Answer(404)) as server, _index(f"{server.url}/", f"{server.url}/") as (index, _):
        assert len(_sources(index)) == 1


def test_a_quick_source_is_read_in_larger_pieces_and_a_slow_one_in_small_ones_again() -> None:
    sizes = [1 << 17, 1 << 18, 1 << 19, 100, 100, 1 << 17]
    asked: list[int] = []

    class Response:
        def read1(self, size: int) -> bytes:
            asked.append(size)
            return bytes(min(size, sizes[len(asked) - 1]))

    client = HttpClient(UpstreamProxies({}))
    place = place_of("http://a.example/")
    answer = HttpAnswer(client, place, HTTPConnection("a.example"), cast("HTTPResponse", Response()))
    for _ in sizes:
        answer.read_some()
    assert asked == [1 << 17, 1 << 18, 1 << 19, 1 << 20, 1 << 19, 1 << 18]


@pytest.mark.parametrize(
    ("code", "named", "remedy"),
    [
        (62, "", "write the name that it is for, or correct it"),
        (64, "", "write the name that it is for, or correct it"),
        (10, "", "renew it"),
        (20, "", "name the authority's in SSL_CERT_FILE"),
        (20, "/nowhere/ca.pem", "SSL_CERT_FILE names /nowhere/ca.pem, which cannot be read"),
    ],
)
def test_a_certificate_that_is_refused_has_the_remedy_of_its_fault(
    code: int, named: str, remedy: str
) -> None:
    error = ssl.SSLCertVerificationError(1, "refused")
    error.verify_code, error.verify_message = code, "it is not right."
    expected = f"a.example:443: its certificate is not trusted: it is not right; {remedy}"
    assert untrusted("a.example:443", error, named).text == expected
