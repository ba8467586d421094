"""Credentials: sent to their own host only, and never shown."""

import base64
import json

from tests.index.wheel import Wheel
from tests.mirror.desk import Desk
from tests.registry.scripted_server import Answer, Request, ScriptedServer, scripted_server

pytest_plugins = ["tests.index.fixture", "tests.mirror.fixture"]

PASSWORD = "right-horse-7"
BASIC = f"Basic {base64.b64encode(f'ada:{PASSWORD}'.encode()).decode()}"


def serve_file(wheel: Wheel, request: Request) -> Answer:
    if wheel.filename.replace("+", "%2B") in request.path or f"sha256:{wheel.sha256}" in request.path:
        return Answer(200, body=wheel.path.read_bytes())
    return Answer(404)


def authorizations(server: ScriptedServer) -> set[str | None]:
    return {request.headers.get("Authorization") for request in server.requests}


def test_a_registry_that_redirects_to_a_storage_service_does_not_get_its_password_there(desk: Desk) -> None:
    wheels = ["--only", "cuda12.4"]
    wheel = desk.toolkit
    with scripted_server(lambda request: serve_file(wheel, request)) as storage:

        def registry(request: Request) -> Answer:
            if request.headers.get("Authorization") != BASIC:
                return Answer(401, {"WWW-Authenticate": 'Basic realm="x"'})
            if request.path == "/v2/":
                return Answer(200)
            return Answer(
                307, {"Location": f"http://127.0.0.1:{storage.port}{request.path}?signature=s3cret"}
            )

        with scripted_server(registry) as server:
            config = desk.folder / "home" / ".docker" / "config.json"
            config.parent.mkdir(parents=True)
            logins = {server.host: {"username": "ada", "password": PASSWORD}}
            config.write_text(json.dumps({"auths": logins}))
            done = desk.mirror("--to", str(desk.folder / "m"), "--from", f"oci://{server.host}/w", *wheels)
            assert BASIC in authorizations(server)
    assert "sent 1 blobs" in done.stderr
    assert authorizations(storage) == {None}
    assert PASSWORD not in done.stdout + done.stderr


def test_the_password_of_an_index_stays_with_it_and_out_of_messages(desk: Desk) -> None:
    wheel = desk.toolkit
    with scripted_server(lambda request: serve_file(wheel, request)) as storage:

        def index(request: Request) -> Answer:
            if request.headers.get("Authorization") != BASIC:
                return Answer(401)
            link = f"http://127.0.0.1:{storage.port}/{wheel.filename}#sha256={wheel.sha256}"
            page = f'<html><body><a href="{link}">{wheel.filename}</a></body></html>'
            return Answer(200, {"Content-Type": "text/html"}, page.encode())

        with scripted_server(index) as server:
            desk.variables["UV_DEFAULT_INDEX"] = f"http://ada:{PASSWORD}@127.0.0.1:{server.port}/simple"
            done = desk.mirror("--to", str(desk.folder / "m"), "--only", "cuda12.4")
            assert authorizations(server) == {BASIC}
            assert "sent 1 blobs" in done.stderr
            desk.variables["UV_DEFAULT_INDEX"] = f"http://ada:{PASSWORD}x@127.0.0.1:{server.port}/simple"
            denied = desk.mirror("--to", str(desk.folder / "n"), "--only", "cuda12.4", exit_code=9)
    assert authorizations(storage) == {None}
    for one in (done, denied):
        assert PASSWORD not in one.stdout + one.stderr
    assert "answers 401" in denied.stderr
