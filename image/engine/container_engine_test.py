import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from image.engine.container_engine import Engine, find_engine
from image.engine.load import load
from image.engine.load_main import main
from image.errors import EngineError, ImageError
from image.oci.layout import Layout
from tests.registry.sample_layout import write_sample_index, write_sample_layout


@pytest.fixture
def image(tmp_path: Path) -> Layout:
    return write_sample_layout(tmp_path / "image", [300_000, 1000])


def program(folder: Path, name: str, script: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_podman_is_taken_before_docker(tmp_path: Path) -> None:
    program(tmp_path / "bin", "docker", "")
    assert find_engine(None, (), str(tmp_path / "bin")).name == "docker"
    program(tmp_path / "bin", "podman", "")
    assert find_engine(None, (), str(tmp_path / "bin")).name == "podman"
    assert find_engine("docker", (), str(tmp_path / "bin")).name == "docker"


@pytest.mark.parametrize(
    ("name", "words"),
    [(None, "neither podman nor docker is on the PATH"), ("docker", "docker is not on the PATH")],
)
def test_no_engine_is_told(tmp_path: Path, name: None, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        find_engine(name, (), str(tmp_path))


@pytest.mark.parametrize(
    ("engine", "name", "whole"),
    [
        ("podman", "daemon:v1", "localhost/daemon:v1"),
        ("podman", "a.b/daemon:v1", "a.b/daemon:v1"),
        ("docker", "daemon:v1", "docker.io/library/daemon:v1"),
        ("docker", "team/daemon:v1", "docker.io/team/daemon:v1"),
    ],
)
def test_names_are_made_whole_as_the_engine_would(tmp_path: Path, engine: str, name: str, whole: str) -> None:
    program(tmp_path / "bin", engine, "")

    assert find_engine(None, (), str(tmp_path / "bin")).full_name(name) == whole


@pytest.mark.parametrize(
    ("name", "question"),
    [("podman", "info --format {{.Host.Arch}}"), ("docker", "version --format {{.Server.Arch}}")],
)
def test_an_engine_is_asked_for_the_architecture_of_its_machine(
    tmp_path: Path, name: str, question: str
) -> None:
    program(tmp_path / "bin", name, f'echo "$@" > {tmp_path}/asked; echo arm64')

    assert find_engine(None, ("--host=h",), str(tmp_path / "bin")).architecture() == "arm64"
    assert (tmp_path / "asked").read_text() == f"--host=h {question}\n"


@pytest.mark.parametrize("answer", ["echo is the daemon running? >&2; exit 1", "true"])
def test_an_engine_that_does_not_say_its_architecture_is_told_with_the_way_out(
    tmp_path: Path, answer: str
) -> None:
    program(tmp_path / "bin", "docker", answer)

    with pytest.raises(EngineError, match=r"^`docker version .*; name the architecture with --architecture$"):
        find_engine(None, (), str(tmp_path / "bin")).architecture()


@pytest.mark.parametrize(("options", "expected"), [((), "arm64"), (("--architecture", "amd64"), "amd64")])
def test_of_an_index_the_engine_gets_the_image_of_its_machine_or_the_one_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], expected: str
) -> None:
    index = write_sample_index(tmp_path / "index", {"amd64": 1, "arm64": 2})
    script = f"[ $1 = info ] && echo arm64 && exit\ncat > {tmp_path}/archive"
    monkeypatch.setenv("PATH", f"{program(tmp_path / 'bin', 'podman', script).parent}:/usr/bin:/bin")
    monkeypatch.delenv("BUILD_WORKING_DIRECTORY", raising=False)

    done = CliRunner().invoke(main, [str(index.directory), "--default-tag", "x:latest", *options])

    assert (done.exit_code, done.stdout) == (0, "localhost/x:latest\n"), done.stderr
    with tarfile.open(tmp_path / "archive") as archive:
        names = set(archive.getnames())
    digests = {blob.digest.replace(":", "/") for blob in index.image(expected).blobs}
    assert {name for name in names if name.startswith("blobs/sha256/")} == {
        f"blobs/{digest}" for digest in (*digests, index.image(expected).manifest.digest.replace(":", "/"))
    }


def test_an_engine_gets_its_arguments_the_archive_and_each_further_name(
    image: Layout, tmp_path: Path
) -> None:
    calls = f'echo "$@" >> {tmp_path}/calls; [ $3 = tag ] && exit'
    path = program(tmp_path / "bin", "podman", f'{calls}; cat > {tmp_path}/tar; echo "Loaded image: seen:v1"')
    engine = Engine("podman", str(path), ("--root", "/r"))

    names = load(image, engine, ["one:v1", "two:v2", "three:v3"], lambda _: None)

    assert names == ("seen:v1", "localhost/two:v2", "localhost/three:v3")
    assert (tmp_path / "calls").read_text().splitlines() == [
        "--root /r load",
        "--root /r tag seen:v1 localhost/two:v2",
        "--root /r tag seen:v1 localhost/three:v3",
    ]
    assert (tmp_path / "tar").stat().st_size > 301_000


def test_an_engine_that_says_no_at_once_is_told_with_its_last_words(image: Layout, tmp_path: Path) -> None:
    path = program(tmp_path / "bin", "docker", 'echo "Cannot connect to the Docker daemon" >&2; exit 1')

    with pytest.raises(EngineError, match="`docker load` failed with 1: Cannot connect to the Docker daemon"):
        load(image, Engine("docker", str(path), ()), ["one:v1"], lambda _: None)


def test_podman_that_cannot_write_is_told_how_to_get_folders(image: Layout, tmp_path: Path) -> None:
    path = program(tmp_path / "bin", "podman", 'echo "Error: mkdir /x: read-only file system" >&2; exit 125')

    with pytest.raises(EngineError, match="--engine-arg=--root=FOLDER"):
        load(image, Engine("podman", str(path), ()), ["one:v1"], lambda _: None)


def test_a_damaged_image_never_reaches_the_engine(image: Layout, tmp_path: Path) -> None:
    path = program(tmp_path / "bin", "podman", f"touch {tmp_path}/called")
    blob = image.path(image.layers[1])
    content = blob.read_bytes()
    blob.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    with pytest.raises(ImageError, match="is damaged"):
        load(image, Engine("podman", str(path), ()), ["one:v1"], lambda _: None)

    assert not (tmp_path / "called").exists()


def test_an_engine_does_not_take_the_beginning_of_an_archive_that_broke(
    image: Layout, tmp_path: Path
) -> None:
    path = program(tmp_path / "bin", "podman", f"cat > /dev/null; touch {tmp_path}/ended")

    def broken(_count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(image, Engine("podman", str(path), ()), ["one:v1"], broken)

    assert not (tmp_path / "ended").exists()
