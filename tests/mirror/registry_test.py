"""A mirror in a registry: a real docker-registry, with authentication, and registries that refuse."""

import base64
import http.client
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from gens.mirror_shape import (
    LOCK_TYPE,
    WHEEL_TYPE,
    parse_artifact,
    parse_lock_config,
)
from tests.index.fault import reset
from tests.mirror.desk import ENVIRONMENT, Desk, tree_of
from tests.registry.cutting_proxy import cutting_proxy
from tests.registry.local_registry import PASSWORD, USER, LocalRegistry, local_registry
from tests.registry.scripted_server import Answer, Request, scripted_server

pytest_plugins = ["tests.index.fixture", "tests.mirror.fixture", "tests.registry.fixture"]

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
TAGS = ["g00001-cuda12.4", "g00001-python3.11", ENVIRONMENT, f"{ENVIRONMENT}-aarch64"]


def write_docker_config(desk: Desk, *hosts: str, password: str = PASSWORD) -> None:
    path = desk.folder / "home" / ".docker" / "config.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    login = {"username": USER, "password": password}
    path.write_text(json.dumps({"auths": dict.fromkeys(hosts, login)}))


def digests(registry: LocalRegistry, name: str) -> dict[str, str]:
    """Return the digest of each tag of a repository."""
    return {
        tag: registry.ask(f"{name}/manifests/{tag}", "HEAD")[1]["Docker-Content-Digest"]
        for tag in registry.tags(name)
    }


def test_a_registry_with_authentication_gets_each_wheel_once(desk: Desk, tmp_path: Path) -> None:
    authorization = {"Authorization": f"Basic {basic()}"}
    with (
        local_registry(tmp_path / "registry", htpasswd=True, authorization=authorization) as registry,
        cutting_proxy(registry.port) as proxy,
    ):
        write_docker_config(desk, registry.host, proxy.host)
        first = desk.mirror("--to", f"oci://{registry.host}/team/wheels")
        assert "sent 3 blobs" in first.stderr
        assert registry.tags("team/wheels") == sorted(TAGS)
        for sha256 in desk.wheels():
            assert registry.has_blob("team/wheels", f"sha256:{sha256}")
        named = digests(registry, "team/wheels")
        to = f"oci://{proxy.host}/team/wheels"  # the same registry, with its bytes counted
        second = desk.mirror("--to", to)
        assert "sent 0 blobs (0 bytes), 3 blobs" in second.stderr
        assert "0 tags are new, 4 were there" in second.stderr
        assert proxy.received_bytes < desk.large.size_bytes // 10  # the heads of requests
        assert digests(registry, "team/wheels") == named
        assert "has all 4 locks" in desk.mirror("--to", to, "--check").stderr
        assert PASSWORD not in first.stdout + first.stderr + second.stderr


def basic() -> str:
    return base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def test_an_artifact_has_the_wheels_of_its_lock_as_layers_under_their_own_digests(
    desk: Desk, registry: LocalRegistry
) -> None:
    desk.mirror("--to", f"oci://{registry.host}/wheels")
    content = registry.manifest("wheels", ENVIRONMENT)
    assert content is not None
    artifact = parse_artifact(content, ENVIRONMENT)
    assert artifact.artifact_type == artifact.config.media_type == LOCK_TYPE
    assert {layer.media_type for layer in artifact.layers} == {WHEEL_TYPE}
    assert desk.large.filename in {layer.title for layer in artifact.layers}
    status, _, config = registry.ask(f"wheels/blobs/{artifact.config.digest}")
    assert status == 200
    assert parse_lock_config(config, ENVIRONMENT).tag == ENVIRONMENT
    _, _, wheel = registry.ask(f"wheels/blobs/sha256:{desk.large.sha256}")
    assert len(wheel) == desk.large.size_bytes


def test_the_same_locks_give_the_same_manifests_and_are_mounted_within_a_registry(
    desk: Desk, registry: LocalRegistry
) -> None:
    desk.mirror("--to", f"oci://{registry.host}/a")
    with desk.index.down():
        done = desk.mirror("--to", f"oci://{registry.host}/b", "--from", f"oci://{registry.host}/a")
        named = desk.mirror(
            "--to", f"oci://{registry.host}/c", "--mount-from", "a", "--from", str(desk.folder)
        )
    for one in (done, named):
        assert "sent 0 blobs (0 bytes), mounted 3 blobs" in one.stderr
    assert digests(registry, "a") == digests(registry, "b") == digests(registry, "c")


def test_a_folder_that_is_filled_from_a_registry_is_the_one_that_is_filled_from_the_index(
    desk: Desk, registry: LocalRegistry
) -> None:
    desk.mirror("--to", f"oci://{registry.host}/a")
    desk.mirror("--to", str(desk.folder / "a"))
    with desk.index.down():
        desk.mirror("--to", str(desk.folder / "b"), "--from", f"oci://{registry.host}/a")
    assert tree_of(desk.folder / "a") == tree_of(desk.folder / "b")


def test_pruning_deletes_artifacts_of_other_generations_and_nothing_else(
    desk: Desk, registry: LocalRegistry
) -> None:
    to = f"oci://{registry.host}/wheels"
    desk.mirror("--to", to, "--min-gen-id", "0")
    manifest = registry.manifest("wheels", "g00000-python3.11")
    assert manifest is not None
    status, _, _ = put(registry, "wheels", "kept-by-me", manifest)
    assert status == 201
    held = desk.mirror("--to", to, "--prune")
    assert "is also tagged kept-by-me; left" in held.stderr
    assert "g00000-python3.11" in registry.tags("wheels")
    assert registry.ask("wheels/manifests/kept-by-me", "HEAD")[0] == 200
    desk.mirror("--to", f"oci://{registry.host}/other", "--min-gen-id", "0")
    shown = desk.mirror("--to", f"oci://{registry.host}/other", "--prune", "--check")
    assert "would remove g00000-python3.11" in shown.stderr
    done = desk.mirror("--to", f"oci://{registry.host}/other", "--prune")
    assert "removed g00000-python3.11" in done.stderr
    assert "garbage collection" in done.stderr
    assert registry.manifest("other", "g00000-python3.11") is None
    assert "has all 4 locks" in desk.mirror("--to", f"oci://{registry.host}/other", "--check").stderr


def put(registry: LocalRegistry, name: str, tag: str, manifest: bytes) -> tuple[int, object, bytes]:
    connection = http.client.HTTPConnection("localhost", registry.port)
    connection.request(
        "PUT", f"/v2/{name}/manifests/{tag}", manifest,
        {"Content-Type": "application/vnd.oci.image.manifest.v1+json"},
    )  # fmt: skip
    answer = connection.getresponse()
    found = (answer.status, answer.getheaders(), answer.read())
    connection.close()
    return found


def test_check_of_a_registry_says_what_is_missing(desk: Desk, registry: LocalRegistry) -> None:
    to = f"oci://{registry.host}/wheels"
    desk.mirror("--to", to, "--only", "python3.11")
    done = desk.mirror("--to", to, "--check", exit_code=1)
    assert (
        f"{desk.large.filename} (3.0 MB, of {ENVIRONMENT}, {ENVIRONMENT}-aarch64): is missing" in done.stdout
    )
    assert f"{ENVIRONMENT}: the lock is not named, or differs" in done.stdout
    assert "5 differences" in done.stderr


def test_a_wrong_password_is_one_message_that_does_not_show_it(desk: Desk, tmp_path: Path) -> None:
    with local_registry(tmp_path / "registry", htpasswd=True) as registry:
        write_docker_config(desk, registry.host, password="wrong horse")
        done = desk.mirror("--to", f"oci://{registry.host}/wheels", exit_code=9)
    assert "docker login" in done.stderr
    assert "wrong horse" not in done.stderr


def test_a_registry_that_is_down_is_one_message(desk: Desk) -> None:
    done = desk.mirror("--to", "oci://localhost:1/wheels", "--retries", "0", exit_code=4)
    assert "localhost:1: the connection failed" in done.stderr


def test_cuts_on_both_ways_end_in_a_complete_mirror(desk: Desk, registry: LocalRegistry) -> None:
    with (
        cutting_proxy(registry.port) as proxy,
        desk.index.fault(*[reset("*torch*.whl", after_bytes=500_000) for _ in range(3)]),
    ):
        proxy.cuts = [1_000_000, 2_000_000]
        desk.mirror("--to", f"oci://{proxy.host}/wheels", "--jobs", "2")
    assert proxy.done == 2
    assert "has all 4 locks" in desk.mirror("--to", f"oci://{registry.host}/wheels", "--check").stderr


def refusing(
    request: Request, sizes: Mapping[str, int], *, types: tuple[str, ...], status: int = 400
) -> Answer:
    """Answer as a registry that has all blobs, tells HEAD no length, and refuses some words in manifests."""
    if request.path == "/v2/":
        return Answer(200)
    if "/blobs/" in request.path:
        size = sizes.get(request.path.rpartition(":")[2], 0)
        return Answer(200, body=bytes(size if request.method == "GET" else 0))
    if request.method != "PUT":
        return Answer(404)
    body = json.dumps({"errors": [{"code": "MANIFEST_INVALID", "message": "unknown field"}]}).encode()
    refused = any(word in request.body.decode() for word in types)
    return Answer(status, body=body) if refused else Answer(201)


def test_a_registry_that_refuses_the_artifact_type_gets_the_manifest_without_it(desk: Desk) -> None:
    with scripted_server(lambda request: refusing(request, desk.sizes(), types=("artifactType",))) as server:
        done = desk.mirror("--to", f"oci://{server.host}/wheels")
    assert "4 tags are new" in done.stderr
    named = [request for request in server.requests if request.method == "PUT"]
    assert parse_artifact(named[1].body, "here").artifact_type == LOCK_TYPE


def test_a_registry_that_refuses_the_config_type_is_told_with_it(desk: Desk) -> None:
    with scripted_server(lambda request: refusing(request, desk.sizes(), types=(LOCK_TYPE,))) as server:
        done = desk.mirror("--to", f"oci://{server.host}/wheels", exit_code=4)
    assert (
        f"refuses artifacts with a config of type {LOCK_TYPE} and layers of type {WHEEL_TYPE}" in done.stderr
    )
    assert "MANIFEST_INVALID" in done.stderr


def test_a_blob_that_is_cut_off_in_the_storage_of_a_registry_is_found_and_not_taken_for_whole(
    desk: Desk, registry: LocalRegistry
) -> None:
    to = f"oci://{registry.host}/wheels"
    desk.mirror("--to", to)
    (stored,) = registry.directory.rglob(f"{desk.large.sha256}/data")
    content = stored.read_bytes()
    stored.write_bytes(content[:1000])
    found = desk.mirror("--to", to, "--check", exit_code=1)
    assert f"{desk.large.filename} (3.0 MB" in found.stdout
    assert "is damaged in the registry: it has 1,000 bytes" in found.stdout
    assert "1 wheels of 3.0 MB to send" in found.stderr
    # docker-registry keeps what it has under a digest, whatever is sent.
    done = desk.mirror("--to", to, exit_code=4)
    assert f"keeps {desk.large.filename}" in done.stderr
    assert "remove the blob from its storage" in done.stderr
    stored.write_bytes(content[:-1] + b"\xff")
    assert "has all 4 locks" in desk.mirror("--to", to, "--check").stderr
    read = desk.mirror("--to", to, "--check", "--verify", exit_code=1)
    assert f"{desk.large.filename} (3.0 MB" in read.stdout
    assert "is damaged in the registry: its digest is sha256:" in read.stdout
    stored.unlink()
    assert "sent 1 blobs" in desk.mirror("--to", to).stderr
    assert "has all 4 locks" in desk.mirror("--to", to, "--check", "--verify").stderr


def test_a_tag_like_that_of_an_interpreter_is_not_in_the_way(desk: Desk, registry: LocalRegistry) -> None:
    to, desk = f"oci://{registry.host}/wheels", desk.for_python("3.12.12")
    desk.mirror("--gen", "0", "--to", to)
    manifest = json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": []}).encode()
    connection = http.client.HTTPConnection("localhost", registry.port)
    path = "/v2/wheels/manifests/interpreter-cpython-3.11.99-linux-x86_64-gnu"
    connection.request("PUT", path, manifest, {"Content-Type": INDEX_TYPE})
    assert connection.getresponse().read() == b""
    connection.close()
    found = desk.mirror("--gen", "0", "--to", to, "--check", interpreters=True, exit_code=1)
    assert "the interpreter" in found.stdout
    assert "is missing" in found.stdout


@pytest.mark.parametrize("status", [413, 507])
def test_a_registry_that_is_full_is_one_message(desk: Desk, status: int) -> None:
    def script(request: Request) -> Answer:
        if request.path == "/v2/":
            return Answer(200)
        if request.method == "POST":
            return Answer(status, body=b'{"errors": [{"code": "DENIED", "message": "quota exceeded"}]}')
        return Answer(404)

    with scripted_server(script) as server:
        done = desk.mirror("--to", f"oci://{server.host}/wheels", exit_code=4)
    assert f"answers {status}: DENIED quota exceeded" in done.stderr
    assert "quota" in done.stderr.rpartition("exceeded")[2]


def test_a_registry_that_stores_something_else_is_told(desk: Desk) -> None:
    def script(request: Request) -> Answer:
        if request.path == "/v2/":
            return Answer(200)
        if request.method == "POST":
            return Answer(202, {"Location": "/v2/wheels/blobs/uploads/1"})
        if request.method == "PATCH":
            return Answer(202, {"Location": "/v2/wheels/blobs/uploads/1"})
        if request.method == "PUT":
            return Answer(400, body=b'{"errors": [{"code": "DIGEST_INVALID", "message": "mismatch"}]}')
        return Answer(404)

    with scripted_server(script) as server:
        done = desk.mirror("--to", f"oci://{server.host}/wheels", exit_code=4)
    assert "DIGEST_INVALID" in done.stderr
    assert not [
        request for request in server.requests if "/manifests/" in request.path and request.method == "PUT"
    ]
