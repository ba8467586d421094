import signal
import threading
from pathlib import Path

import pytest

from image.errors import ImageError, RegistryError, TransientError
from image.oci.image_index import Content
from image.oci.layout import Layout
from image.oci.reference import parse_repository
from image.registry.client import Registry
from image.registry.credentials import Credentials
from image.registry.push import PushOptions, PushResult, push
from tests.registry.cutting_proxy import cutting_proxy
from tests.registry.push_process import Pusher
from tests.registry.sample_layout import write_sample_index, write_sample_layout
from tests.registry.scripted_server import Answer, Request, Script, scripted_server


class Silent:
    """Hears only how many bytes there were."""

    def __init__(self) -> None:
        self.count = 0

    def advance(self, count: int) -> None:
        self.count += count

    def retry(self, error: TransientError, pause_s: float) -> None:
        pass


def empty(request: Request) -> Answer:
    """A registry that has nothing and takes all."""
    upload = {"Location": "/v2/team/image/blobs/uploads/1"}
    statuses = {"GET": 200, "HEAD": 404, "POST": 202, "PATCH": 202, "PUT": 201}
    return Answer(statuses[request.method], upload if request.method in {"POST", "PATCH"} else {})


def run(image: Content, script: Script, options: PushOptions) -> tuple[PushResult, list[str], int]:
    listener = Silent()
    with scripted_server(script) as server:
        registry = Registry(
            parse_repository(f"{server.host}/team/image"),
            Credentials("none"), insecure=False, jobs=options.jobs, environment={},
        )  # fmt: skip
        registry.connect()
        result = push(image, registry, options, listener)
    return result, server.asked(), listener.count


def test_the_manifest_goes_last_once_for_each_tag(tmp_path: Path) -> None:
    image = write_sample_layout(tmp_path / "image", [5000, 1000])

    result, asked, count = run(image, empty, PushOptions(tags=("a", "b"), jobs=3))

    writes = [request for request in asked if request.startswith("PUT")]
    assert [path.rpartition("/")[2] for path in writes[-2:]] == ["a", "b"]
    assert all("/blobs/uploads/" in path for path in writes[:-2])
    assert (result.pushed, result.new_tags) == (3, ("a", "b"))
    assert count == result.pushed_bytes == sum(blob.size_bytes for blob in image.blobs)


def test_the_images_of_an_index_go_before_it_and_a_shared_layer_is_sent_once(tmp_path: Path) -> None:
    index = write_sample_index(tmp_path / "index", {"amd64": 1, "arm64": 2})

    result, asked, count = run(index, empty, PushOptions(tags=("a",), jobs=2))

    writes = [request for request in asked if request.startswith("PUT")]
    images = [image.manifest.digest for image in index.images]
    assert [path.rpartition("/")[2] for path in writes[-3:]] == [*images, "a"]
    assert all("/blobs/uploads/" in path for path in writes[:-3])
    assert (result.digest, result.pushed) == (index.root.digest, 5)
    assert count == result.pushed_bytes == sum(blob.size_bytes for blob in index.blobs)


def test_a_damaged_manifest_of_an_index_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    index = write_sample_index(tmp_path / "index", {"amd64": 1, "arm64": 2})
    path = index.path(index.images[1].manifest)
    path.write_bytes(path.read_bytes().replace(b"sample", b"simple"))

    with scripted_server(empty) as server:
        registry = Registry(
            parse_repository(f"{server.host}/a"), Credentials("none"), insecure=False, jobs=1, environment={}
        )
        with pytest.raises(ImageError, match="is damaged"):
            push(index, registry, PushOptions(), Silent())
        assert server.requests == []


def test_a_blob_that_stands_twice_in_an_image_is_pushed_once(tmp_path: Path) -> None:
    image = write_sample_layout(tmp_path / "image", [5000])
    twice = Layout(image.directory, image.manifest, image.config, (*image.layers, *image.layers))

    result, asked, _ = run(twice, empty, PushOptions(jobs=1))

    assert result.pushed == 2
    assert len([path for path in asked if path.startswith("PATCH")]) == 2


def test_a_damaged_manifest_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    image = write_sample_layout(tmp_path / "image", [1000])
    path = image.path(image.manifest)
    path.write_bytes(path.read_bytes().replace(b"sample", b"simple"))

    with scripted_server(empty) as server:
        registry = Registry(
            parse_repository(f"{server.host}/a"), Credentials("none"), insecure=False, jobs=1, environment={}
        )
        with pytest.raises(ImageError, match="is damaged"):
            push(image, registry, PushOptions(), Silent())
        assert server.requests == []


def test_the_first_refusal_ends_a_push_without_a_tag_and_without_waiting_for_other_blobs(
    tmp_path: Path,
) -> None:
    image = write_sample_layout(tmp_path / "image", [5000, 1000, 10])
    smallest = min(image.layers, key=lambda layer: layer.size_bytes)
    asked: list[str] = []
    held = threading.Event()

    def script(request: Request) -> Answer:
        asked.append(f"{request.method} {request.path}")
        if request.method == "HEAD" and request.path.endswith(smallest.digest):
            return Answer(400)
        if request.method == "PATCH":
            held.wait(300)
        return empty(request)

    try:
        with pytest.raises(RegistryError, match="answers 400"):
            run(image, script, PushOptions(tags=("v1",), jobs=4))
        assert not held.is_set(), "the other uploads still hang"
        assert not any("/manifests/" in request for request in asked)
    finally:
        held.set()


def test_ctrl_c_ends_a_push_that_hangs(tmp_path: Path) -> None:
    image = write_sample_layout(tmp_path / "image", [3_000_000])
    home = tmp_path / "home"
    home.mkdir()
    with scripted_server(empty) as server, cutting_proxy(server.port) as proxy:
        proxy.stall_after = 1_000_000
        process = Pusher(home, {}).start(image.directory, f"{proxy.host}/team/image", "--tag", "v1")
        assert proxy.stalled.wait(300)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=300)

    assert process.returncode == 1
    assert "Aborted!" in errors
    assert "Traceback" not in errors
    assert not any("/manifests/" in request for request in server.asked())
