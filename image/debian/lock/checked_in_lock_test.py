"""Tests of the locks as they are checked in: they belong to packages.txt, and will do for any mirror."""

import re
from pathlib import Path

import pytest

from image.architecture import ARCHITECTURES
from image.debian.lock.lock_file import Lock, inputs_digest, lock_name, parse_lock
from image.debian.lock.package_list import parse_package_list

FOLDER = Path("image/debian")
LIST = FOLDER / "packages.txt"


def read(architecture: str) -> Lock:
    path = FOLDER / lock_name(architecture)
    return parse_lock(path.read_text(), path)


@pytest.fixture(params=ARCHITECTURES)
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def lock(architecture: str) -> Lock:
    return read(architecture)


def test_the_lock_belongs_to_the_list(lock: Lock) -> None:
    assert lock.inputs == inputs_digest(LIST.read_text()), (
        "the lock was made from another packages.txt; run `bazel run //tools:update_debian`"
    )


def test_the_lock_has_the_layers_of_the_list_and_each_name_in_its_layer_or_below(lock: Lock) -> None:
    layers = parse_package_list(LIST.read_text(), LIST)
    assert list(lock.layers) == list(layers)
    known: set[str] = set()
    for layer, names in layers.items():
        known |= {package.name for package in lock.layers[layer]}
        missing = [name for name in names if name not in known and not name.startswith("?")]
        assert missing == [], f"layer {layer} of the lock lacks them: `bazel run //tools:update_debian`"


def test_the_lock_holds_what_every_package_takes_for_granted(lock: Lock) -> None:
    system = {package.name for package in lock.layers["system"]}
    assert system >= {"base-files", "base-passwd", "bash", "coreutils", "dpkg", "libc6", "libc-bin", "tar"}


def test_the_packages_are_for_the_architecture_of_the_lock_or_for_all(lock: Lock, architecture: str) -> None:
    assert lock.architecture == architecture
    endings = (f"_{architecture}.deb", "_all.deb")
    packages = [package for layer in lock.layers.values() for package in layer]
    assert [package.path for package in packages if not package.path.endswith(endings)] == []


def test_no_host_stands_in_the_lock(lock: Lock, architecture: str) -> None:
    text = (FOLDER / lock_name(architecture)).read_text().replace("//tools:update_debian", "")
    places = [package.path for packages in lock.layers.values() for package in packages]
    assert [place for place in places if not place.startswith("pool/") or ".." in place] == []
    assert re.findall(r"[a-z+]+:/+\S*|//\S*|@\S*|\b[\w-]+\.(?:org|com|net|io|local|internal)\b", text) == []


def test_a_package_for_all_architectures_is_one_file_in_both_locks() -> None:
    """Images of one commit differ by their architecture, not by the day of their packages."""
    found: dict[str, set[str]] = {}
    for architecture in ARCHITECTURES:
        for packages in read(architecture).layers.values():
            for package in packages:
                if package.path.endswith("_all.deb"):
                    found.setdefault(package.name, set()).add(package.sha256)
    assert len(found) > 20
    assert [name for name, digests in found.items() if len(digests) > 1] == []
