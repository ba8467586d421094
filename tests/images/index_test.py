"""The images of all architectures and their index: whose programs they hold, and how tools read them back."""

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from image.architecture import ARCHITECTURES
from image.elf_file import elf_machine
from image.oci.image_index import ImageIndex, read_content
from image.oci.layout import Layout, read_layout
from tests.registry.local_registry import LocalRegistry, local_registry
from tests.registry.push_process import Pusher
from tools.deploy.write_base import main as write_base

NAMES = ("daemon", "runtime")
_BEGINNING_BYTES = 64


def _path(variable: str) -> Path:
    return Path(os.environ[f"MONOBASE_{variable}"]).absolute()


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def index(name: str) -> ImageIndex:
    found = read_content(_path(f"{name.upper()}_INDEX"))
    assert isinstance(found, ImageIndex)
    return found


def _layout(name: str, architecture: str) -> Layout:
    return read_layout(_path(f"{name.upper()}_IMAGE_{architecture.upper()}"))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRegistry]:
    for tool in ("docker-registry", "skopeo", "crane"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not on the PATH; the toolbox of ./bazelw has it")
    with local_registry(tmp_path_factory.mktemp("registry") / "registry") as found:
        yield found


def _machines(layout: Layout) -> dict[str, int]:
    """Return the machine of each ELF file of an image, by its path."""
    found = {}
    for blob in layout.layers:
        with tarfile.open(layout.path(blob), mode="r|gz") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() else None
                machine = None if content is None else elf_machine(content.read(_BEGINNING_BYTES))
                if machine is not None:
                    found[member.name] = machine
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_each_program_and_library_of_an_image_is_of_its_own_architecture(
    name: str, architecture: str
) -> None:
    found = _machines(_layout(name, architecture))
    expected = ARCHITECTURES[architecture].elf_machine
    assert len(found) > 1000
    assert {path: machine for path, machine in found.items() if machine != expected} == {}
    ours = "usr/local/bin/uv" if name == "daemon" else "opt/monobase/lib64/stubs/libcuda.so"
    assert found[ours] == expected


def test_the_index_names_the_image_of_each_architecture_by_its_own_digest(
    name: str, index: ImageIndex
) -> None:
    digests = {image.manifest.architecture: image.manifest.digest for image in index.images}
    assert digests == {
        architecture: _layout(name, architecture).manifest.digest for architecture in ARCHITECTURES
    }


def test_manifests_name_the_index(index: ImageIndex, tmp_path: Path) -> None:
    base = tmp_path / "kustomization.yaml"
    base.write_text("kind: Kustomization\n")
    arguments = [str(tmp_path / "out"), "--file", str(base), "--image", "monobase", str(index.directory)]

    done = CliRunner().invoke(write_base, [*arguments, "--registry", "registry.example/team"])

    assert done.exit_code == 0, done.output
    assert f"digest: {index.root.digest}\n" in (tmp_path / "out" / base.name).read_text()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_configuration_of_an_image_names_its_architecture_and_is_else_that_of_the_others(
    name: str, architecture: str
) -> None:
    layout, other = _layout(name, architecture), _layout(name, "amd64")
    config, expected = (json.loads(found.path(found.config).read_bytes()) for found in (layout, other))
    assert config["architecture"] == architecture
    assert config["config"] == expected["config"]


def test_code_and_generations_are_one_blob_for_all_architectures() -> None:
    layers = [_layout("daemon", architecture).layers[-2:] for architecture in ARCHITECTURES]
    assert all(found == layers[0] for found in layers)


def test_skopeo_and_crane_see_two_platforms_in_what_was_pushed(
    name: str, index: ImageIndex, registry: LocalRegistry, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    repository = f"{registry.host}/team/{name}"

    done = Pusher(tmp_path / "home", {}).push(index.directory, repository, "--tag", "v1")

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{repository}@{index.root.digest}\n"
    reference = f"{repository}:v1"
    for command in (
        ("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{reference}"),
        ("crane", "manifest", "--insecure", reference),
    ):
        found = json.loads(_run(*command))
        platforms = [(entry["platform"], entry["digest"]) for entry in found["manifests"]]
        assert platforms == [
            ({"architecture": architecture, "os": "linux"}, _layout(name, architecture).manifest.digest)
            for architecture in ARCHITECTURES
        ]
        assert found["annotations"]["org.opencontainers.image.title"] == f"monobase-{name}"
    for architecture in ARCHITECTURES:
        override = ("--override-arch", architecture, "--tls-verify=false")
        found = json.loads(_run("skopeo", "inspect", *override, f"docker://{reference}"))
        assert found["Architecture"] == architecture
        assert found["Layers"] == [layer.digest for layer in _layout(name, architecture).layers]


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
