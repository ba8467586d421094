import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import pytest

from image.errors import AccessError, RegistryError, TransientError
from image.oci.descriptor import MANIFEST, descriptor_of
from image.oci.reference import parse_repository
from image.registry.client import Registry, printable
from image.registry.credentials import Credentials
from image.registry.patience import Patience, persist
from tests.registry.scripted_server import Answer, Request, Script, ScriptedServer, scripted_server

SECRET = "right horse"
CREDENTIALS = Credentials("a test (user ada)", "ada", SECRET)
DIGEST = f"sha256:{'0' * 64}"


@contextmanager
def connected(
    script: Script, credentials: Credentials = CREDENTIALS
) -> Iterator[tuple[Registry, ScriptedServer]]:
    """A client of team/image at a server that answers as the script says; plain HTTP, as on this machine."""
    with scripted_server(script) as server:
        repository = parse_repository(f"{server.host}/team/image")
        registry = Registry(repository, credentials, insecure=False, jobs=2, environment={})
        registry.prefix = "http"
        yield registry, server


def always(answer: Answer) -> Script:
    return lambda _: answer


def errors(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


def test_a_server_without_tls_on_this_machine_is_found() -> None:
    with connected(always(Answer(200))) as (registry, server):
        registry.prefix = "https"
        registry.connect()

        assert registry.prefix == "http"
        assert server.asked() == ["GET /v2/"]


def test_a_registry_that_is_overloaded_is_not_tried_without_tls() -> None:
    with connected(always(Answer(503))) as (registry, server):
        with pytest.raises(TransientError, match="answers 503"):
            registry.connect()

        assert server.asked() == ["GET /v2/"]


def test_an_upload_is_not_sent_in_the_clear_where_a_proxy_took_the_tls_off() -> None:
    with connected(always(Answer(202, {"Location": "http://a.b/v2/upload"}))) as (registry, server):
        registry.repository = parse_repository("a.b/team/image")
        answer = registry.session.get(f"http://{server.host}/v2/")
        answer.url = "https://a.b/v2/team/image/blobs/uploads/"
        registry.prefix = "https"

        assert registry.upload_address(answer) == "https://a.b/v2/upload"


def test_a_server_that_is_no_registry_is_told() -> None:
    with (
        connected(always(Answer(404))) as (registry, _),
        pytest.raises(RegistryError, match=r"is not an OCI registry: .*/v2/ answers 404"),
    ):
        registry.connect()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_told_apart(status: int) -> None:
    answer = Answer(status, {"Retry-After": "7"}, errors("TOOMANYREQUESTS", "slow down"))
    with (
        connected(always(answer)) as (registry, _),
        pytest.raises(TransientError, match=f"POST /v2/team/image/blobs/uploads/ answers {status}") as caught,
    ):
        registry.start_upload()

    assert "TOOMANYREQUESTS slow down" in str(caught.value)
    assert caught.value.retry_after_s == 7.0


def test_a_date_to_come_back_is_read() -> None:
    answer = Answer(503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})
    with connected(always(answer)) as (registry, _), pytest.raises(TransientError) as caught:
        registry.has_blob(DIGEST)

    assert caught.value.retry_after_s == 0.0


def test_an_answer_that_is_neither_yes_nor_no_is_no_answer_about_a_blob() -> None:
    with connected(always(Answer(400))) as (registry, _), pytest.raises(RegistryError, match="answers 400"):
        registry.has_blob(DIGEST)


def test_a_body_that_is_too_long_is_told_with_what_may_help() -> None:
    with (
        connected(always(Answer(413))) as (registry, _),
        pytest.raises(RegistryError, match=r"answers 413: Request Entity Too Large; .* --chunk-size"),
    ):
        registry.put_manifest("v1", descriptor_of(MANIFEST, b"{}"), b"{}")


def test_a_quota_is_told_in_the_registrys_words_and_with_the_credentials_that_were_used() -> None:
    answer = Answer(403, body=errors("DENIED", "adding 3 GB would exceed the quota of 2 GB"))
    with connected(always(answer)) as (registry, _), pytest.raises(AccessError) as caught:
        registry.start_upload()

    assert "DENIED adding 3 GB would exceed the quota of 2 GB" in str(caught.value)
    assert "credentials: a test (user ada)" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_manifest_is_sent_byte_for_byte() -> None:
    content = b'{ "schemaVersion" :2}'
    with connected(always(Answer(201))) as (registry, server):
        registry.put_manifest("v1", descriptor_of(MANIFEST, content), content)

        (request,) = server.requests
        assert (request.path, request.body) == ("/v2/team/image/manifests/v1", content)
        assert request.headers["Content-Type"] == MANIFEST


def test_a_registry_that_stored_another_manifest_is_told() -> None:
    with (
        connected(always(Answer(201, {"Docker-Content-Digest": DIGEST}))) as (registry, _),
        pytest.raises(RegistryError, match=f"stored {DIGEST} instead of"),
    ):
        registry.put_manifest("v1", descriptor_of(MANIFEST, b"{}"), b"{}")


def test_a_blob_that_another_push_is_just_putting_there_is_waited_for() -> None:
    answers = iter([Answer(400, body=errors("MANIFEST_BLOB_UNKNOWN", "blob unknown")), Answer(201)])
    with connected(lambda _: next(answers)) as (registry, server):
        manifest = descriptor_of(MANIFEST, b"{}")
        persist(
            lambda: registry.put_manifest("v1", manifest, b"{}"),
            Patience(1, lambda *_: None, lambda *_: None),
        )

        assert len(server.requests) == 2


def test_a_manifest_that_is_refused_for_another_reason_is_not_sent_again() -> None:
    refusal = Answer(400, body=errors("MANIFEST_INVALID", "manifest invalid"))
    with connected(always(refusal)) as (registry, _), pytest.raises(RegistryError) as caught:
        registry.put_manifest("v1", descriptor_of(MANIFEST, b"{}"), b"{}")
    assert not isinstance(caught.value, TransientError)


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/v2/team/image/blobs/uploads/7?state=x", "/v2/team/image/blobs/uploads/7?state=x"),
        ("8", "/v2/team/image/blobs/uploads/8"),
    ],
)
def test_an_upload_may_have_a_relative_address(location: str, path: str) -> None:
    with connected(always(Answer(202, {"Location": location, "OCI-Chunk-Min-Length": "5"}))) as (
        registry,
        server,
    ):
        assert registry.start_upload() == (f"http://{server.host}{path}", 5)


def test_an_upload_without_an_address_is_told() -> None:
    with (
        connected(always(Answer(202))) as (registry, _),
        pytest.raises(RegistryError, match="without saying where"),
    ):
        registry.start_upload()


@pytest.mark.parametrize(
    ("told", "kept"), [("0-0", 0), ("0-99", 100), ("bytes=0-99", 100), ("", 0), ("x", 0)]
)
def test_how_far_an_upload_got_is_read(told: str, kept: int) -> None:
    with connected(always(Answer(204, {"Range": told}))) as (registry, server):
        location = f"http://{server.host}/v2/upload"

        assert registry.upload_status(location) == (location, kept)


def test_an_upload_that_is_gone_is_none() -> None:
    with connected(always(Answer(404))) as (registry, server):
        assert registry.upload_status(f"http://{server.host}/v2/upload") is None


def test_a_digest_keeps_the_query_of_an_uploads_address() -> None:
    with connected(always(Answer(201))) as (registry, server):
        assert registry.finish_upload(f"http://{server.host}/v2/upload?state=a%2Bb", DIGEST) is None

        assert parse_qs(urlsplit(server.requests[0].path).query) == {"state": ["a+b"], "digest": [DIGEST]}


def test_a_digest_that_the_registry_refuses_is_its_words() -> None:
    with connected(always(Answer(400, body=errors("DIGEST_INVALID", "provided digest did not match")))) as (
        registry,
        server,
    ):
        refusal = registry.finish_upload(f"http://{server.host}/v2/upload?state=secret", DIGEST)

    assert refusal is not None
    assert "DIGEST_INVALID provided digest did not match" in refusal
    assert "secret" not in refusal


def test_a_registry_that_does_not_mount_says_no_and_its_upload_is_dropped() -> None:
    with connected(always(Answer(202, {"Location": "/v2/team/image/blobs/uploads/7"}))) as (registry, server):
        assert not registry.mount_blob(DIGEST, "team/base")

        assert server.asked()[1] == "DELETE /v2/team/image/blobs/uploads/7"


def basic(request: Request) -> str:
    return request.headers.get("Authorization", "").partition(" ")[2]


def test_a_password_is_sent_only_after_the_registry_asked_for_it() -> None:
    expected = base64.b64encode(f"ada:{SECRET}".encode()).decode()

    def script(request: Request) -> Answer:
        known = basic(request) == expected
        return (
            Answer(200) if known else Answer(401, {"WWW-Authenticate": 'Basic realm="a test, with a comma"'})
        )

    with connected(script) as (registry, server):
        assert registry.has_blob(DIGEST)
        assert registry.has_blob(DIGEST)

        assert [bool(basic(request)) for request in server.requests] == [False, True, True]


def test_an_upload_at_another_host_gets_no_credentials() -> None:
    with scripted_server(always(Answer(202))) as storage:

        def script(request: Request) -> Answer:
            if not basic(request):
                return Answer(401, {"WWW-Authenticate": "Basic realm=x"})
            return Answer(202, {"Location": f"http://127.0.0.1:{storage.port}/bucket?signature=x"})

        with connected(script) as (registry, _):
            location, _ = registry.start_upload()
            registry.upload_status(location)

    assert [basic(request) for request in storage.requests] == [""]


@pytest.mark.parametrize("challenge", ['Bearer realm="http://{host}/token"', 'Basic realm="r"'])
def test_a_host_that_the_registry_redirects_to_cannot_ask_for_its_credentials(challenge: str) -> None:
    def asks(request: Request) -> Answer:
        return Answer(401, {"WWW-Authenticate": challenge.format(host=request.headers["Host"])})

    with scripted_server(asks) as storage:
        moved = Answer(307, {"Location": f"http://127.0.0.1:{storage.port}/bucket?signature=x"})
        with connected(always(moved)) as (registry, _), pytest.raises(AccessError, match="answers 401"):
            registry.do_request(registry.url("team/image/blobs/x"))
    assert {basic(request) for request in storage.requests} == {""}
    assert not any(request.path.startswith("/token") for request in storage.requests)


def token_script(server_of: Callable[[], ScriptedServer], uses: int) -> Script:
    """A registry with its own token service, whose tokens hold for some requests each."""
    given: list[int] = []
    used: dict[str, int] = {}

    def script(request: Request) -> Answer:
        if request.path.startswith("/token"):
            given.append(1)
            return Answer(200, body=json.dumps({"token": f"t{len(given)}"}).encode())
        token = basic(request)
        used[token] = used.get(token, 0) + 1
        if token != f"t{len(given)}" or used[token] > uses:
            realm = f"http://{server_of().host}/token"
            challenge = f'Bearer realm="{realm}",service="s",scope="repository:team/image:pull"'
            return Answer(401, {"WWW-Authenticate": challenge})
        return Answer(200)

    return script


def test_a_token_that_runs_out_is_replaced_in_the_middle_of_a_push() -> None:
    servers: list[ScriptedServer] = []
    with connected(token_script(lambda: servers[0], uses=3)) as (registry, server):
        servers.append(server)
        assert all(registry.has_blob(DIGEST) for _ in range(10))

        assert len([path for path in server.asked() if "/token" in path]) == 4


def test_a_token_that_is_refused_at_once_is_access_denied() -> None:
    servers: list[ScriptedServer] = []
    with connected(token_script(lambda: servers[0], uses=0)) as (registry, server):
        servers.append(server)
        with pytest.raises(AccessError, match="answers 401"):
            registry.has_blob(DIGEST)


def test_a_token_that_would_split_a_header_is_refused() -> None:
    def script(request: Request) -> Answer:
        if request.path.startswith("/token"):
            return Answer(200, body=json.dumps({"token": "a\r\nX: y"}).encode())
        realm = f"http://{request.headers['Host']}/token"
        return Answer(401, {"WWW-Authenticate": f'Bearer realm="{realm}"'})

    with connected(script) as (registry, _), pytest.raises(AccessError, match="without a token"):
        registry.has_blob(DIGEST)


def test_a_token_service_that_is_down_may_pass() -> None:
    def script(request: Request) -> Answer:
        if request.path.startswith("/token"):
            return Answer(503)
        realm = f"http://{request.headers['Host']}/token"
        return Answer(401, {"WWW-Authenticate": f'Bearer realm="{realm}"'})

    with connected(script) as (registry, _), pytest.raises(TransientError, match="token service answers 503"):
        registry.has_blob(DIGEST)


def test_a_bundle_that_is_not_there_is_told() -> None:
    with pytest.raises(RegistryError, match=r"/none.pem: does not exist; SSL_CERT_FILE must name"):
        Registry(
            parse_repository("a.b/c"),
            CREDENTIALS,
            insecure=False,
            jobs=1,
            environment={"SSL_CERT_FILE": "/none.pem"},
        )


@pytest.mark.parametrize(
    "location", ["http://a..b/x", "http://[zz/x", f"http://{'a' * 70}.b/x", "http://127.0.0.1:9/\xe4"]
)
def test_a_redirect_to_what_is_not_a_url_is_one_message(location: str) -> None:
    with (
        connected(always(Answer(307, {"Location": location}))) as (registry, _),
        pytest.raises(RegistryError, match="redirects to what is not a URL"),
    ):
        registry.do_request(registry.url("team/image/blobs/x"))


def test_what_a_server_says_is_shown_without_its_control_characters() -> None:
    assert printable("\x1b[31mgarbage\r\n\x00") == "\\x1b[31mgarbage \\x00"
