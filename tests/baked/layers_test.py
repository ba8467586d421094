"""The layers of an environment that the daemon's own installer has made."""

import json
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from gens.catalog import load_catalog
from image.architecture import find_architecture
from image.baked.baked_layers import write_baked_layers
from image.baked.installation import Sources
from image.errors import ImageError
from image.model.baked_environment import BAKED_PATH, BakedEnvironment, find_baked, parse_baked
from tests.baked.sample_environment import (
    ENVIRONMENT,
    GENERATION,
    TOOLKIT,
    SampleEnvironment,
    write_sample_environment,
)
from tests.synthetic.catalog import PYTHON_FULL

INSTALLER = """\
import sys
sys.path[:0] = {path!r}
from daemon.cli.main import main
main()
"""
TREE = f"srv/r8/monobase/monobase/g00002/{ENVIRONMENT}"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleEnvironment:
    return write_sample_environment(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def baked(sample: SampleEnvironment) -> BakedEnvironment:
    catalog = load_catalog(sample.gens, sample.gens)
    return find_baked(catalog, find_architecture("amd64"), GENERATION, ENVIRONMENT, (TOOLKIT,))


def sources(sample: SampleEnvironment, folder: Path) -> Sources:
    installer = folder / "installer.py"
    installer.write_text(INSTALLER.format(path=sys.path))
    return Sources(installer, sample.wheels, sample.interpreter, sample.gens)


def bake(sample: SampleEnvironment, baked: BakedEnvironment, folder: Path) -> Path:
    (folder / "scratch").mkdir(parents=True)
    write_baked_layers(baked, sources(sample, folder), folder / "scratch", folder / "layers")
    return folder / "layers"


@pytest.fixture(scope="module")
def layers(
    sample: SampleEnvironment, baked: BakedEnvironment, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return bake(sample, baked, tmp_path_factory.mktemp("layers"))


def contents(layers: Path) -> dict[str, list[tarfile.TarInfo]]:
    """Return the members of each layer by its description."""
    found = {}
    for facts in sorted(layers.glob("*.json")):
        with tarfile.open(facts.with_suffix(".tar.gz")) as archive:
            found[json.loads(facts.read_text())["createdBy"]] = archive.getmembers()
    return found


def by_name(members: Mapping[str, list[tarfile.TarInfo]]) -> dict[str, tarfile.TarInfo]:
    return {member.name: member for part in members.values() for member in part}


def test_the_same_environment_elsewhere_has_the_same_layers(
    sample: SampleEnvironment, baked: BakedEnvironment, layers: Path, tmp_path: Path
) -> None:
    again = bake(sample, baked, tmp_path / "elsewhere")
    names = sorted(path.name for path in layers.iterdir())
    assert names == sorted(path.name for path in again.iterdir())
    assert [name for name in names if (layers / name).read_bytes() != (again / name).read_bytes()] == []


def test_interpreter_and_large_wheels_have_layers_of_their_own(layers: Path) -> None:
    found = contents(layers)
    assert list(found) == [f"Python {PYTHON_FULL}", "torch 2.13.0", f"{ENVIRONMENT}, all else"]
    of_torch = {member.name for member in found["torch 2.13.0"] if not member.isdir()}
    site = f"{TREE}/lib/python3.11/site-packages"
    assert {f"{site}/torch/lib/libtorch.so", f"{site}/torch/__init__.py", f"{TREE}/bin/torchrun"} <= of_torch
    assert f"{site}/torch/__pycache__/__init__.cpython-311.pyc" in of_torch
    assert not any("small" in name for name in of_torch)


def test_a_file_of_environment_and_toolkit_is_one_inode(layers: Path) -> None:
    members = by_name(contents(layers))
    linked = {
        member.linkname.partition("/site-packages/")[2]: name
        for name, member in members.items()
        if member.islnk() and "/cuda/" in name
    }
    assert any("libcublas" in name for name in linked)


def test_no_member_has_a_time_or_an_owner_and_none_is_of_the_daemon_s_stores(layers: Path) -> None:
    members = by_name(contents(layers))
    assert {(member.mtime, member.uid, member.gid) for member in members.values()} == {(0, 0, 0)}
    tops = {name.split("/")[3] for name in members if name.count("/") >= 3}
    assert tops == {".baked.json", "cuda", "monobase", "uv"}
    assert not [name for name in members if name.endswith((".manifest", ".done", ".lock"))]
    assert "srv/r8/monobase/monobase/latest" in members


def test_the_environment_names_the_prefix_of_models(layers: Path) -> None:
    last = max(layers.glob("*.tar.gz"))
    with tarfile.open(last) as archive:
        stream = archive.extractfile(f"{TREE}/pyvenv.cfg")
        assert stream is not None
        home = stream.read().decode().splitlines()[0]
    assert home.startswith(f"home = /srv/r8/monobase/uv/python/cpython-{PYTHON_FULL}-")


def test_the_description_of_the_environment_is_in_the_last_layer(
    baked: BakedEnvironment, layers: Path
) -> None:
    last = max(layers.glob("*.tar.gz"))
    with tarfile.open(last) as archive:
        stream = archive.extractfile(BAKED_PATH)
        assert stream is not None
        assert parse_baked(stream.read(), last) == baked


def test_a_wheel_that_is_missing_is_named_before_anything_is_installed(
    sample: SampleEnvironment, baked: BakedEnvironment, tmp_path: Path
) -> None:
    given = sources(sample, tmp_path)
    few = Sources(given.installer, [it for it in given.wheels if "torch" not in it.name], given.interpreter)
    with pytest.raises(ImageError, match=r"1 of its wheels are not among .*: torch 2\.13\.0; give wheels"):
        write_baked_layers(baked, few, tmp_path, tmp_path / "layers")
    assert not (tmp_path / "prefix").exists()
