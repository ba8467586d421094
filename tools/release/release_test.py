"""A release, with small images and a real registry: what users find there, and what is refused."""

import hashlib
import json
import shutil
import tarfile
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from image.architecture import ARCHITECTURES
from image.errors import RegistryError
from image.oci.image_index import ImageIndex, read_content, write_index
from tests.registry.local_registry import LocalRegistry
from tests.registry.sample_layout import write_sample_layout
from tools.deploy.chart.helm import helm
from tools.deploy.kustomize import kustomize, overlay, validate
from tools.release import publication
from tools.release.cli import main

pytest_plugins = ["tests.registry.fixture"]

TREE = Path(__file__).parent.parent.parent
IMAGES = {"monobase-daemon": "daemon", "monobase-runtime": "runtime", "monobase-builder": "runtime/builder"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A source tree with small images, as the runfiles of the command have it."""
    root = tmp_path / "root"
    for folder in ("daemon/kubernetes", "runtime/kubernetes"):
        for path in (TREE / folder).iterdir():
            if path.name in ("base", "components", "examples", "model"):
                shutil.copytree(path, root / folder / path.name)
    for seed, folder in enumerate(IMAGES.values()):
        parts = [
            write_sample_layout(tmp_path / f"{seed}-{name}", [1000], seed=seed, architecture=name)
            for name in ARCHITECTURES
        ]
        write_index(root / folder / "image", parts)
        for name in ARCHITECTURES:
            (root / folder / f"sbom_{name}.cdx.json").write_text(f'{{"of": "{folder} {name}"}}')
    return root


def _index(root: Path, name: str) -> ImageIndex:
    found = read_content(root / IMAGES[name] / "image")
    assert isinstance(found, ImageIndex)
    return found


def _release(
    root: Path, repository: str, output: Path, *arguments: str, version: str = "1.2.0-rc.1"
) -> Result:
    # The tests' own build has no version of a release.
    where = ["--root", str(root), "--repository", repository, "--output", str(output), "--unstamped"]
    return CliRunner().invoke(main, [*where, "--version", version, *arguments])


def test_a_release_has_images_bills_chart_and_manifests(
    root: Path, registry: LocalRegistry, tmp_path: Path
) -> None:
    output = tmp_path / "files"
    done = _release(root, f"{registry.host}/team", output)
    assert done.exit_code == 0, done.output
    published = dict(line.split("@") for line in done.stdout.splitlines())

    for name in IMAGES:
        index = _index(root, name)
        assert published[f"{registry.host}/team/{name}:v1.2.0-rc.1"] == index.root.digest
        bills = [f"{image.manifest.digest.replace(':', '-')}.sbom" for image in index.images]
        assert sorted(registry.tags(f"team/{name}")) == sorted([*bills, "v1.2.0-rc.1"])
    assert len(published) == 3 + 6 + 1

    # What a user of the image finds by its digest.
    (amd64, _) = _index(root, "monobase-daemon").images
    tag = f"{amd64.manifest.digest.replace(':', '-')}.sbom"
    _, _, manifest = registry.ask(f"team/monobase-daemon/manifests/{tag}")
    (layer,) = json.loads(manifest)["layers"]
    assert layer["mediaType"] == "application/vnd.cyclonedx+json"
    _, _, bill = registry.ask(f"team/monobase-daemon/blobs/{layer['digest']}")
    assert json.loads(bill) == {"of": "daemon amd64"}


def test_the_manifest_needs_nothing_but_kubectl(root: Path, tmp_path: Path) -> None:
    done = _release(root, "registry.example/team", tmp_path / "files", "--dry-run")
    assert done.exit_code == 0, done.output
    manifests = list(yaml.safe_load_all((tmp_path / "files" / "daemon.yaml").read_text()))
    assert validate(manifests)[-1] == "DaemonSet/monobase-daemon"
    (container,) = manifests[-1]["spec"]["template"]["spec"]["containers"]
    digest = _index(root, "monobase-daemon").root.digest
    assert container["image"] == f"registry.example/team/monobase-daemon@{digest}"
    (model,) = yaml.safe_load_all((tmp_path / "files" / "model.yaml").read_text())
    digest = _index(root, "monobase-runtime").root.digest
    assert model["spec"]["containers"][0]["image"] == f"registry.example/team/monobase-runtime@{digest}"


def test_an_overlay_needs_nothing_but_kubectl(root: Path, tmp_path: Path) -> None:
    assert _release(root, "registry.example/team", tmp_path / "files", "--dry-run").exit_code == 0
    with tarfile.open(tmp_path / "files" / "monobase-1.2.0-rc.1-kustomize.tar.gz") as tar:
        for member in tar:
            path, stream = tmp_path / "here" / member.name, tar.extractfile(member)
            assert stream is not None
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(stream.read())
    fields = {"components": ["../monobase-1.2.0-rc.1/components/pod-monitor"], "namespace": "models-base"}
    manifests = kustomize(overlay(tmp_path / "here" / "overlay", "../monobase-1.2.0-rc.1/base", fields))
    (daemon_set,) = [each for each in manifests if each["kind"] == "DaemonSet"]
    digest = _index(root, "monobase-daemon").root.digest
    (container,) = daemon_set["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"registry.example/team/monobase-daemon@{digest}"
    assert "PodMonitor" in [each["kind"] for each in manifests]
    assert (tmp_path / "here" / "monobase-1.2.0-rc.1" / "examples" / "gpu-pool").is_dir()


def test_helm_installs_from_the_registry(root: Path, registry: LocalRegistry, tmp_path: Path) -> None:
    assert _release(root, f"{registry.host}/team", tmp_path / "files").exit_code == 0
    source = [f"oci://{registry.host}/team/monobase", "--version", "1.2.0-rc.1", "--plain-http"]
    done = helm("template", "monobase", *source, directory=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (
        f"{registry.host}/team/monobase-daemon@{_index(root, 'monobase-daemon').root.digest}" in done.stdout
    )


def test_a_second_release_of_the_same_build_is_the_same(
    root: Path, registry: LocalRegistry, tmp_path: Path
) -> None:
    first = _release(root, f"{registry.host}/team", tmp_path / "one")
    second = _release(root, f"{registry.host}/team", tmp_path / "two")
    assert first.stdout == second.stdout
    assert "pushed 0 blobs" in second.stderr
    sums = [(tmp_path / name / "SHA256SUMS").read_text() for name in ("one", "two")]
    assert sums[0] == sums[1]
    for line in sums[0].splitlines():
        digest, name = line.split()
        assert hashlib.sha256((tmp_path / "one" / name).read_bytes()).hexdigest() == digest
    assert len(sums[0].splitlines()) == len(list((tmp_path / "one").iterdir())) - 1


@pytest.mark.parametrize(
    ("version", "repository", "message"),
    [
        ("v1.2.0", "registry.example/team", "is not a version"),
        ("1.2", "registry.example/team", "is not a version"),
        ("1.2.0+dirty", "registry.example/team", "is not a version"),
        ("1.2.0-rc.01", "registry.example/team", "is not a version"),
        ("1.2.٣", "registry.example/team", "is not a version"),
        (f"1.2.0-{'a' * 130}", "registry.example/team", "is not a version"),
        ("1.2.0", "registry.example/team:v1", "has a tag, a digest or a user"),
        ("1.2.0", "registry.example/Team", "is not a repository's name"),
        ("1.2.0", "https://registry.example", "--repository"),
    ],
)
def test_what_no_tag_can_be_is_refused(
    root: Path, tmp_path: Path, version: str, repository: str, message: str
) -> None:
    done = _release(root, repository, tmp_path / "files", version=version)
    assert (done.exit_code, message in done.stderr) == (2, True), done.output
    assert not (tmp_path / "files").exists()


def test_a_build_that_does_not_have_the_version_is_refused(root: Path, tmp_path: Path) -> None:
    arguments = ["--root", str(root), "--repository", "registry.example/team", "--version", "1.2.0"]
    done = CliRunner().invoke(main, [*arguments, "--output", str(tmp_path / "files")])
    assert done.exit_code == 2
    assert "build them with --config=release" in done.stderr


def test_the_files_of_another_release_are_kept(root: Path, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "daemon.yaml").write_text("another")
    done = _release(root, "registry.example/team", tmp_path / "files", "--dry-run")
    assert done.exit_code == 2
    assert "exists, and is not this release; remove it" in done.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert (tmp_path / "files" / "daemon.yaml").read_text() == "another"


def test_the_folder_of_the_same_release_is_used_again(root: Path, tmp_path: Path) -> None:
    for _ in range(2):
        done = _release(root, "registry.example/team", tmp_path / "files", "--dry-run")
        assert done.exit_code == 0, done.output


def test_a_folder_that_cannot_be_made_is_named(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = _release(root, "registry.example/team", tmp_path / "file" / "files", "--dry-run")
    assert done.exit_code == 5
    assert f"{tmp_path / 'file'}: cannot be written" in done.stderr


def test_a_version_that_names_something_else_is_refused_before_anything_is_pushed(
    root: Path, registry: LocalRegistry, tmp_path: Path
) -> None:
    assert _release(root, f"{registry.host}/team", tmp_path / "one").exit_code == 0
    tags = {name: registry.tags(f"team/{name}") for name in IMAGES}
    # Another build of one image.
    shutil.rmtree(root / "daemon" / "image")
    parts = [
        write_sample_layout(tmp_path / f"other-{name}", [1000], seed=9, architecture=name)
        for name in ARCHITECTURES
    ]
    write_index(root / "daemon" / "image", parts)
    done = _release(root, f"{registry.host}/team", tmp_path / "two")
    assert done.exit_code == 1, done.output
    assert "a version is published once: release another one" in done.stderr
    assert {name: registry.tags(f"team/{name}") for name in IMAGES} == tags
    # As another version, it may be published.
    assert _release(root, f"{registry.host}/team", tmp_path / "three", version="1.2.1").exit_code == 0


def test_a_registry_that_fails_in_the_middle_is_told_and_the_same_command_goes_on(
    root: Path, registry: LocalRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_arguments: object) -> None:
        raise RegistryError("registry.example: refuses it")

    with monkeypatch.context() as patch:
        patch.setattr(publication, "read_layout", fails)  # of the first bill, when an image has been pushed
        patch.setattr(publication.Publisher, "refuse_taken", lambda *_arguments: None)
        done = _release(root, f"{registry.host}/team", tmp_path / "files")
    assert done.exit_code == 4, done.output
    assert registry.tags("team/monobase-daemon") == ["v1.2.0-rc.1"]
    done = _release(root, f"{registry.host}/team", tmp_path / "files")
    assert done.exit_code == 0, done.output
    assert registry.tags("team/monobase") == ["1.2.0-rc.1"]


def test_a_bill_that_was_not_built_is_named(root: Path, tmp_path: Path) -> None:
    (root / "runtime" / "sbom_arm64.cdx.json").unlink()
    done = _release(root, "registry.example/team", tmp_path / "files", "--dry-run")
    assert done.exit_code == 3
    assert "sbom_arm64.cdx.json: is missing" in done.stderr
