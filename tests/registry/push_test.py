import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.registry.cutting_proxy import cutting_proxy
from tests.registry.local_registry import LocalRegistry
from tests.registry.push_process import Pusher
from tests.registry.resuming_gateway import resuming_gateway
from tests.registry.sample_layout import write_sample_index, write_sample_layout

pytest_plugins = ["tests.registry.fixture"]

MEGABYTE = 1_000_000


def tool(name: str) -> str:
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not on the PATH; the toolbox of ./bazelw has it")
    return program


def wait_until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end, "never came"
        time.sleep(0.02)


def sent_bytes(stderr: str) -> tuple[float, int]:
    """Parse how many MB a push sent, and how often it resumed."""
    found = re.search(r"sent ([0-9.]+) MB, resumed (\d+) times", stderr)
    assert found is not None, stderr
    return float(found[1]), int(found[2])


def test_a_pushed_image_is_read_back_as_it_was(
    registry: LocalRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    image = write_sample_layout(tmp_path / "image", [3 * MEGABYTE, 70_000, 0])

    done = pusher.push(image.directory, f"{registry.host}/team/image", "--tag", "v1")

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{registry.host}/team/image@{image.manifest.digest}\n"
    assert registry.manifest("team/image", "v1") == image.path(image.manifest).read_bytes()
    assert all(registry.has_blob("team/image", blob.digest) for blob in image.blobs)


def test_skopeo_copies_what_was_pushed_with_each_blob_as_it_was(
    registry: LocalRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    skopeo = tool("skopeo")
    image = write_sample_layout(tmp_path / "image", [3 * MEGABYTE, 70_000])
    pusher.push(image.directory, f"{registry.host}/team/image", "--tag", "v1")
    reference = f"docker://{registry.host}/team/image:v1"

    shown = subprocess.run(
        [skopeo, "inspect", "--tls-verify=false", reference], capture_output=True, check=True
    )
    # skopeo keeps its working files in /var/tmp, which a sandbox may not have.
    with tempfile.TemporaryDirectory() as copy:
        subprocess.run(
            [skopeo, "copy", "--insecure-policy", "--src-tls-verify=false", reference, f"dir:{copy}"],
            capture_output=True,
            check=True,
        )
        copies = {path.name: path.read_bytes() for path in Path(copy).iterdir()}

    assert json.loads(shown.stdout)["Digest"] == image.manifest.digest
    for blob in image.blobs:
        assert copies[blob.digest.removeprefix("sha256:")] == image.path(blob).read_bytes()


def test_skopeo_and_crane_read_an_index_of_two_platforms_back(
    registry: LocalRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    skopeo, crane = tool("skopeo"), tool("crane")
    index = write_sample_index(tmp_path / "index", {"amd64": 1, "arm64": 2}, MEGABYTE)

    done = pusher.push(index.directory, f"{registry.host}/team/image", "--tag", "v1")

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{registry.host}/team/image@{index.root.digest}\n"
    for image in index.images:
        assert f"linux/{image.manifest.architecture} is {image.manifest.digest}\n" in done.stderr
    reference = f"{registry.host}/team/image:v1"
    asked = [
        [skopeo, "inspect", "--raw", "--tls-verify=false", f"docker://{reference}"],
        [crane, "manifest", "--insecure", reference],
    ]
    for command in asked:
        shown = subprocess.run(command, capture_output=True, check=True).stdout
        assert shown.rstrip(b"\n") == index.path(index.root).read_bytes()
        platforms = [entry["platform"]["architecture"] for entry in json.loads(shown)["manifests"]]
        assert platforms == ["amd64", "arm64"]
    for image in index.images:
        architecture = image.manifest.architecture
        shown = subprocess.run(
            [skopeo, "inspect", "--tls-verify=false", "--override-arch", architecture, f"docker://{reference}"],
            capture_output=True, check=True,
        ).stdout  # fmt: skip
        found = json.loads(shown)
        assert found["Architecture"] == architecture
        assert found["Layers"] == [layer.digest for layer in image.layers]
    valid = subprocess.run(
        [crane, "validate", "--insecure", "--remote", reference], capture_output=True, text=True, check=False
    )
    assert valid.returncode == 0, valid.stderr


def test_a_second_push_of_an_index_sends_nothing_and_one_of_its_images_only_its_tag(
    registry: LocalRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    index = write_sample_index(tmp_path / "index", {"amd64": 1, "arm64": 2})
    alone = write_sample_layout(tmp_path / "alone", [1000, 502], compression="gzip", architecture="arm64")
    pusher.push(index.directory, f"{registry.host}/team/image", "--tag", "v1")

    again = pusher.push(index.directory, f"{registry.host}/team/image", "--tag", "v1")
    image = pusher.push(alone.directory, f"{registry.host}/team/image", "--tag", "arm64")

    assert "pushed 0 blobs (0 bytes), skipped 5 that were there" in again.stderr
    assert f"team/image:v1 was {index.root.digest} already" in again.stderr
    assert "pushed 0 blobs (0 bytes), skipped 3 that were there" in image.stderr
    assert image.stdout == f"{registry.host}/team/image@{index.image('arm64').manifest.digest}\n"


def test_crane_validates_what_was_pushed(registry: LocalRegistry, pusher: Pusher, tmp_path: Path) -> None:
    crane = tool("crane")
    # crane's validation unpacks layers with gzip, whatever their media type is.
    image = write_sample_layout(tmp_path / "image", [MEGABYTE, 1000], compression="gzip")

    pusher.push(image.directory, f"{registry.host}/team/image", "--tag", "v1")

    done = subprocess.run(
        [crane, "validate", "--remote", f"{registry.host}/team/image:v1"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_second_push_sends_nothing_and_says_that_the_tag_was_there(
    registry: LocalRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    image = write_sample_layout(tmp_path / "image", [MEGABYTE, 1000])
    pusher.push(image.directory, f"{registry.host}/team/image", "--tag", "v1")

    with cutting_proxy(registry.port) as proxy:
        done = pusher.push(image.directory, f"{proxy.host}/team/image", "--tag", "v1")

    assert done.returncode == 0, done.stderr
    assert "pushed 0 blobs (0 bytes), skipped 3 that were there" in done.stderr
    assert f"team/image:v1 was {image.manifest.digest} already" in done.stderr
    assert proxy.received_bytes < 10_000
    assert '"PUT /v2/team/image/manifests/v1' in registry.log()
    assert registry.log().count('"PUT /v2/team/image/manifests/v1') == 1


def test_a_new_image_under_an_old_tag_sends_only_its_new_layer(
    registry: LocalRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    old = write_sample_layout(tmp_path / "old", [MEGABYTE])
    new = write_sample_layout(tmp_path / "new", [MEGABYTE, 1000])
    pusher.push(old.directory, f"{registry.host}/team/image", "--tag", "v1")

    done = pusher.push(new.directory, f"{registry.host}/team/image", "--tag", "v1")

    assert "pushed 2 blobs" in done.stderr, "the new layer and the new configuration"
    assert "skipped 1 that were there (1.0 MB)" in done.stderr
    assert registry.manifest("team/image", "v1") == new.path(new.manifest).read_bytes()


def test_without_a_tag_an_image_is_pushed_by_its_digest_only(
    registry: LocalRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    image = write_sample_layout(tmp_path / "image", [1000])

    done = pusher.push(image.directory, f"{registry.host}/team/image")

    assert done.returncode == 0, done.stderr
    assert registry.tags("team/image") == []
    assert registry.manifest("team/image", image.manifest.digest) is not None


def test_several_tags_name_one_image_and_may_come_from_the_environment(
    registry: LocalRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    image = write_sample_layout(tmp_path / "image", [1000])

    twice = ("--tag", "v1", "--tag", "v1")
    pusher.push(image.directory, f"{registry.host}/team/image", *twice, "--tag", "latest")
    pusher.push(image.directory, f"{registry.host}/team/other", MONOBASE_TAG="v2 v3")

    assert registry.tags("team/image") == ["latest", "v1"]
    assert registry.tags("team/other") == ["v2", "v3"]


def test_layers_of_another_repository_are_mounted_instead_of_sent(
    registry: LocalRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    base = write_sample_layout(tmp_path / "base", [2 * MEGABYTE])
    image = write_sample_layout(tmp_path / "image", [2 * MEGABYTE, 1000])
    pusher.push(base.directory, f"{registry.host}/team/base", "--tag", "v1")

    with cutting_proxy(registry.port) as proxy:
        done = pusher.push(
            image.directory, f"{proxy.host}/team/image", "--tag", "v1",
            "--mount-from", "team/base", "--mount-from", f"{proxy.host}/team/nothing",
        )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "mounted 1 (2.0 MB)" in done.stderr
    assert proxy.received_bytes < 100_000
    assert registry.has_blob("team/image", image.layers[0].digest)


def test_a_damaged_blob_is_refused_before_it_is_sent_and_nothing_is_tagged(
    registry: LocalRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    image = write_sample_layout(tmp_path / "image", [MEGABYTE, 1000])
    path = image.path(image.layers[0])
    content = bytearray(path.read_bytes())
    content[500_000] ^= 1
    path.unlink()  # a hard link of the test's own layer
    path.write_bytes(content)

    done = pusher.push(image.directory, f"{registry.host}/team/image", "--tag", "v1")

    assert done.returncode == 3
    assert f"{path}: is damaged" in done.stderr
    assert image.layers[0].digest in done.stderr
    assert done.stdout == ""
    assert registry.tags("team/image") == []
    assert not registry.has_blob("team/image", image.layers[0].digest)


def test_what_a_killed_push_brought_is_not_sent_again(
    registry: LocalRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    image = write_sample_layout(tmp_path / "image", [4 * MEGABYTE, 2 * MEGABYTE, 1000])
    large, small, smallest = image.layers
    with cutting_proxy(registry.port) as proxy:
        proxy.stall_after = 3 * MEGABYTE
        process = pusher.start(image.directory, f"{proxy.host}/team/image", "--tag", "v1", "--jobs", "3")
        wait_until(
            lambda: (
                proxy.stalled.is_set()
                and registry.has_blob("team/image", small.digest)
                and registry.has_blob("team/image", smallest.digest)
            )
        )
        process.kill()
        process.communicate()
    assert registry.tags("team/image") == []

    with cutting_proxy(registry.port) as proxy:
        done = pusher.push(image.directory, f"{proxy.host}/team/image", "--tag", "v1")

    assert done.returncode == 0, done.stderr
    assert "(2.0 MB)" in done.stderr, "the layer that was there is skipped"
    assert large.size_bytes <= proxy.received_bytes < large.size_bytes + 100_000
    assert registry.tags("team/image") == ["v1"]


def test_a_connection_cut_within_a_blob_costs_that_blob_only_where_the_registry_drops_it(
    registry: LocalRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    # distribution 2.8 drops an upload that broke within a request: resuming_gateway.py says why.
    image = write_sample_layout(tmp_path / "image", [4 * MEGABYTE, 3 * MEGABYTE])

    with cutting_proxy(registry.port) as proxy:
        proxy.cuts = [3_500_000]
        done = pusher.push(image.directory, f"{proxy.host}/team/image", "--tag", "v1")

    assert done.returncode == 0, done.stderr
    assert proxy.done == 1
    assert proxy.received_bytes < 11_000_000, "4 MB twice, 3 MB once"
    assert registry.manifest("team/image", "v1") == image.path(image.manifest).read_bytes()


def test_an_upload_that_was_cut_goes_on_in_the_middle_of_the_blob(
    registry: LocalRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    image = write_sample_layout(tmp_path / "image", [40 * MEGABYTE])

    with (
        resuming_gateway(registry.port, tmp_path / "uploads") as gateway,
        cutting_proxy(gateway.port) as proxy,
    ):
        proxy.cuts = [30 * MEGABYTE]
        done = pusher.push(image.directory, f"{proxy.host}/team/image", "--tag", "v1")

    assert done.returncode == 0, done.stderr
    assert proxy.done == 1
    assert proxy.received_bytes < 45 * MEGABYTE, "40 MB, and what was on its way when the connection broke"
    (first,) = gateway.resumed_at
    assert 20 * MEGABYTE < first <= 30 * MEGABYTE
    megabytes, resumed = sent_bytes(done.stderr)
    # Sockets may hold 10 MB that the break loses; a blob sent twice would be 80 MB.
    assert (megabytes < 70, resumed) == (True, 1), done.stderr
    assert registry.has_blob("team/image", image.layers[0].digest), "its digest is right"


def test_cuts_do_not_add_up_as_long_as_each_try_gets_further(
    registry: LocalRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    image = write_sample_layout(tmp_path / "image", [20 * MEGABYTE])

    with (
        resuming_gateway(registry.port, tmp_path / "uploads") as gateway,
        cutting_proxy(gateway.port) as proxy,
    ):
        proxy.cuts = [5 * MEGABYTE] * 4
        done = pusher.push(
            image.directory, f"{proxy.host}/team/image", "--tag", "v1", "--jobs", "1", "--retries", "1"
        )

    assert done.returncode == 0, done.stderr
    assert proxy.done >= 3
    assert gateway.resumed_at == sorted(gateway.resumed_at)
    assert registry.tags("team/image") == ["v1"]


def test_a_push_that_gets_no_further_gives_up_and_tags_nothing(
    registry: LocalRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    image = write_sample_layout(tmp_path / "image", [4 * MEGABYTE])

    with cutting_proxy(registry.port) as proxy:
        proxy.cuts = [MEGABYTE] * 100
        done = pusher.push(image.directory, f"{proxy.host}/team/image", "--tag", "v1", "--retries", "1")

    assert done.returncode == 4
    assert re.search(r"error: localhost:\d+: the connection failed: ", done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert registry.tags("team/image") == []


@pytest.mark.parametrize("resuming", [False, True], ids=["docker-registry", "gateway"])
def test_no_request_is_longer_than_the_chunk_size(
    registry: LocalRegistry, pusher: Pusher, tmp_path: Path, resuming: bool
) -> None:
    image = write_sample_layout(tmp_path / "image", [5 * MEGABYTE + 1])

    with resuming_gateway(registry.port, tmp_path / "uploads") as gateway:
        port = gateway.port if resuming else registry.port
        done = pusher.push(
            image.directory, f"localhost:{port}/team/image", "--tag", "v1", "--chunk-size", "2M"
        )

    assert done.returncode == 0, done.stderr
    assert registry.has_blob("team/image", image.layers[0].digest)
    if resuming:
        assert gateway.longest_body == 2 * MEGABYTE
        assert gateway.resumed_at == [2 * MEGABYTE, 4 * MEGABYTE]
    else:
        assert registry.log().count('"PATCH /v2/team/image/blobs/uploads/') == 4


def test_pushes_of_one_image_at_the_same_time_all_succeed(
    registry: LocalRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    image = write_sample_layout(tmp_path / "image", [2 * MEGABYTE, MEGABYTE])

    with ThreadPoolExecutor(3) as pool:
        pushes = list(
            pool.map(
                lambda number: pusher.push(
                    image.directory, f"{registry.host}/team/image", "--tag", "v1", "--tag", f"n{number}"
                ),
                range(3),
            )
        )

    assert [(done.returncode, done.stderr if done.returncode else "") for done in pushes] == [(0, "")] * 3
    assert registry.tags("team/image") == ["n0", "n1", "n2", "v1"]
    assert all(registry.has_blob("team/image", blob.digest) for blob in image.blobs)


def test_a_large_blob_is_never_in_memory_as_a_whole(
    registry: LocalRegistry, pusher: Pusher, tmp_path: Path
) -> None:
    image = write_sample_layout(tmp_path / "image", [200 * MEGABYTE])
    # The kernel refuses what is beyond: Python, its libraries and some blocks fit in, the layer does not.
    command = ["/bin/sh", "-c", 'ulimit -d 150000 && exec "$@"', "sh"]

    done = subprocess.run(
        [*command, *pusher.command(image.directory, f"{registry.host}/team/image", "--tag", "v1")],
        env=pusher.environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert registry.has_blob("team/image", image.layers[0].digest)


def test_a_registry_that_is_not_there_is_named(pusher: Pusher, tmp_path: Path) -> None:
    image = write_sample_layout(tmp_path / "image", [1000])

    done = pusher.push(image.directory, "localhost:1/team/image", "--retries", "0")

    assert done.returncode == 4
    assert "error: localhost:1: the connection failed: Connection refused" in done.stderr


@pytest.mark.parametrize(
    ("repository", "tag", "words"),
    [
        ("team/image", "v1", "write docker.io/team/image for Docker Hub"),
        ("localhost:5000/Team", "v1", "is not a repository's name"),
        ("localhost:5000/team:v1", "v1", "name the tag with --tag"),
        ("localhost:5000/team", "-v1", "is not a tag"),
    ],
)
def test_a_wrong_name_is_wrong_usage(
    pusher: Pusher, tmp_path: Path, repository: str, tag: str, words: str
) -> None:
    image = write_sample_layout(tmp_path / "image", [1000])

    done = pusher.push(image.directory, repository, f"--tag={tag}")

    assert done.returncode == 2
    assert words in done.stderr
