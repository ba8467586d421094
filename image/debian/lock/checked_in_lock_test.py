"""Tests of packages.lock.json as it is checked in: it belongs to packages.txt, and will do for any mirror."""

import re
from pathlib import Path

from image.debian.lock.lock_file import inputs_digest, parse_lock
from image.debian.lock.package_list import parse_package_list

LIST = Path("image/debian/packages.txt")
LOCK = Path("image/debian/packages.lock.json")


def test_the_lock_belongs_to_the_list() -> None:
    lock = parse_lock(LOCK.read_text(), LOCK)
    assert lock.inputs == inputs_digest(LIST.read_text()), (
        "the lock was made from another packages.txt; run `bazel run //tools:update_debian`"
    )


def test_the_lock_has_the_layers_of_the_list_and_each_name_in_its_layer_or_below() -> None:
    layers = parse_package_list(LIST.read_text(), LIST)
    lock = parse_lock(LOCK.read_text(), LOCK)
    assert list(lock.layers) == list(layers)
    known: set[str] = set()
    for layer, names in layers.items():
        known |= {package.name for package in lock.layers[layer]}
        missing = [name for name in names if name not in known and not name.startswith("?")]
        assert missing == [], (
            f"layer {layer} of packages.lock.json lacks them: `bazel run //tools:update_debian`"
        )


def test_the_lock_holds_what_every_package_takes_for_granted() -> None:
    system = {package.name for package in parse_lock(LOCK.read_text(), LOCK).layers["system"]}
    assert system >= {"base-files", "base-passwd", "bash", "coreutils", "dpkg", "libc6", "libc-bin", "tar"}


def test_no_host_stands_in_the_lock() -> None:
    text = LOCK.read_text().replace("//tools:update_debian", "")
    places = [package.path for packages in parse_lock(text, LOCK).layers.values() for package in packages]
    assert [place for place in places if not place.startswith("pool/") or ".." in place] == []
    assert re.findall(r"[a-z+]+:/+\S*|//\S*|@\S*|\b[\w-]+\.(?:org|com|net|io|local|internal)\b", text) == []
