"""The laws of manifests: a tree is read back or refused when written; damage never reads as another tree."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import DamageError
from daemon.prefix.inventory import InventoryFile
from daemon.prefix.manifest import BytecodePart, Link, Manifest, WheelPart, format_manifest, read_manifest
from tests.laws.files import inventory_files
from tests.laws.names import paths, sha256s

_PATHS = paths(without="\n")
_DIRECTORIES = st.just("lib/python3.11/site-packages") | _PATHS
_LINKS = st.builds(
    Link, paths(without="\n\t"), _PATHS | _PATHS.map("/{}".format) | _PATHS.map("../{}".format)
)
_MANIFESTS = st.builds(
    Manifest,
    target=st.sampled_from(["python3.11", "cuda12.4", "python3.11-torch2.4.1-cu121"]),
    content=sha256s(),
    wheels=st.lists(st.builds(WheelPart, sha256s(), sha256s(), _DIRECTORIES), max_size=3).map(tuple),
    bytecode=st.lists(
        st.builds(BytecodePart, sha256s(), st.just("cpython-311-3.11.7"), sha256s(), _DIRECTORIES), max_size=3
    ).map(tuple),
    files=st.lists(inventory_files(_PATHS), max_size=3, unique_by=lambda file: file.path).map(
        lambda files: tuple(sorted(files, key=lambda file: file.path))
    ),
    links=st.lists(_LINKS, max_size=3, unique_by=lambda link: link.path).map(
        lambda links: tuple(sorted(links, key=lambda link: link.path))
    ),
)


def _read(content: bytes) -> Manifest:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / ".manifest"
        path.write_bytes(content)
        return read_manifest(path)


@given(_MANIFESTS)
def test_what_is_written_is_read_back_and_the_order_given_does_not_matter(manifest: Manifest) -> None:
    content = format_manifest(manifest)
    assert _read(content) == manifest
    assert (
        format_manifest(replace(manifest, files=manifest.files[::-1], links=manifest.links[::-1])) == content
    )


@given(_MANIFESTS, _PATHS, st.sampled_from(["file", "link", "link target", "wheel", "bytecode", "target"]))
def test_what_a_line_cannot_carry_is_refused_when_it_is_written(
    manifest: Manifest, path: str, where: str
) -> None:
    broken = f"{path}\n{path}"
    digest = "a" * 64
    changed = {
        "file": lambda: replace(manifest, files=(InventoryFile(broken, digest, 1, 0o644),)),
        "link": lambda: replace(manifest, links=(Link(f"{path}\t{path}", path),)),
        "link target": lambda: replace(manifest, links=(Link("bin/python", broken),)),
        "wheel": lambda: replace(manifest, wheels=(WheelPart(digest, digest, broken),)),
        "bytecode": lambda: replace(manifest, bytecode=(BytecodePart(digest, "key", digest, broken),)),
        "target": lambda: replace(manifest, target=broken),
    }[where]()
    with pytest.raises(ValueError, match=r"line break|tab"):
        format_manifest(changed)


@given(_MANIFESTS, st.data())
def test_a_manifest_that_was_changed_reads_as_damage_or_as_it_was(
    manifest: Manifest, data: st.DataObject
) -> None:
    content = format_manifest(manifest)
    first = data.draw(st.integers(0, len(content)))
    last = data.draw(st.integers(first, min(len(content), first + 9)))
    changed = content[:first] + data.draw(st.binary(max_size=3)) + content[last:]
    try:
        read = _read(changed)
    except DamageError:
        return
    assert read == manifest  # the header of gzip has bytes that mean nothing
