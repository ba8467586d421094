from dataclasses import replace
from pathlib import Path

import pytest

from image.debian.lock import Lock, LockedPackage, format_lock, inputs_digest, parse_lock
from image.errors import ImageError

PATH = Path("packages.lock")
TINI = LockedPackage("tini", "0.19.0-3+b3", "pool/main/t/tini/tini_0.19.0-3+b3_amd64.deb", 257172, "a" * 64)
GXX = LockedPackage(
    "g++", "4:14.2.0-1", "pool/updates/main/g/gcc-defaults/g++_14.2.0-1_amd64.deb", 1, "0" * 64
)
LOCK = Lock(
    ("trixie", "trixie-updates"),
    "amd64",
    "2026-11-14T10:05:11Z",
    "sha256:" + "b" * 64,
    {"system": (TINI,), "build": (GXX,), "empty": ()},
)


def test_a_lock_is_read_as_it_was_written() -> None:
    assert parse_lock(format_lock(LOCK), PATH) == LOCK


def test_packages_are_written_by_name_and_layers_in_their_order() -> None:
    two = replace(LOCK, layers={"upper": (TINI, GXX), "lower": ()})
    assert [line.split(" ")[0] for line in format_lock(two).splitlines()[5:]] == [
        "[upper]",
        "g++",
        "tini",
        "[lower]",
    ]


def test_a_package_is_found_under_its_name_in_the_repository() -> None:
    assert GXX.source_file == "g++.deb"


def test_remarks_and_blanks_are_no_inputs() -> None:
    digest = inputs_digest("[system]\ntini\ng++\n")
    assert digest == inputs_digest("# why\n\n[system]  # lowest\n  tini   # PID 1\ng++")
    assert digest != inputs_digest("[system]\ng++\ntini\n")
    assert digest != inputs_digest("[system]\ntini\n")
    assert digest.startswith("sha256:")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("tini 0.19", "tini  0.19", "is no line of a lock"),
        ("sha256:aaaa", "sha256:AAAA", "is no line of a lock"),
        ("sha256:aaaa", "md5:aaaa", "is no line of a lock"),
        (" 257172 ", " many ", "is no line of a lock"),
        (" pool/main/t", " /pool/main/t", "is no line of a lock"),
        (" pool/main/t", " http://example.org/pool/main/t", "is no line of a lock"),
        ("[system]\n", "", "stands before the first layer"),
        ("g++ 4", "tini 4", "names a package for the second time"),
        ("[build]", "[system]", "layer system stands here for the second time"),
        ("[build]", "[Build]", "is no line of a lock"),
        ("[system]", "<<<<<<< HEAD\n[system]", "is no line of a lock"),
        ("# date: 2026-11-14T10:05:11Z\n", "", "has no date"),
        ("# suites: trixie trixie-updates\n", "", "has no suites"),
        ("T10:05:11Z", "T10:05:11", "its date '2026-11-14T10:05:11' is not written as"),
        ("2026-11-14T10:05:11Z", "Sat, 14 Nov 2026", "its date 'Sat, 14 Nov 2026' is not written as"),
    ],
)
def test_a_malformed_lock_is_refused_with_what_is_wrong(old: str, new: str, message: str) -> None:
    text = format_lock(LOCK)
    assert old in text
    with pytest.raises(ImageError) as caught:
        parse_lock(text.replace(old, new), PATH)
    assert message in str(caught.value)
    assert str(caught.value).startswith("packages.lock:")


def test_an_empty_file_is_no_lock() -> None:
    with pytest.raises(ImageError, match="has no architecture, date, inputs, suites"):
        parse_lock("", PATH)


def test_a_lock_without_a_layer_is_none() -> None:
    with pytest.raises(ImageError, match="has no layer"):
        parse_lock(format_lock(replace(LOCK, layers={})), PATH)
