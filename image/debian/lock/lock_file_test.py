import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from image.debian.lock.lock_file import Lock, LockedPackage, format_lock, inputs_digest, parse_lock
from image.errors import ImageError

PATH = Path("packages.lock.json")
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


def test_a_package_is_one_line_by_name_and_layers_stand_in_their_order() -> None:
    two = replace(LOCK, layers={"upper": (TINI, GXX), "lower": ()})
    lines = [line.strip() for line in format_lock(two).splitlines()]
    assert [line.partition(":")[0] for line in lines if line.endswith("[")] == ['"upper"', '"lower"']
    assert [
        json.loads(line.rstrip(","))["name"] for line in lines if "sha256" in line and "name" in line
    ] == [
        "g++",
        "tini",
    ]


def test_the_lock_is_json_for_any_reader() -> None:
    found = json.loads(format_lock(LOCK))
    assert list(found["layers"]) == ["system", "build", "empty"]
    assert found["layers"]["system"] == [asdict(TINI)]


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
        ('"name": "tini"', '"name": "Tini"', "matching regex"),
        ('"version": "0.19', '"version": " 0.19', "matching regex"),
        ('"sha256": "aaaa', '"sha256": "AAAA', "matching regex"),
        ("257172", '"many"', "Expected `int`, got `str`"),
        ("257172", "-1", "Expected `int` >= 0"),
        ('"pool/main/t', '"/pool/main/t', "matching regex"),
        ('"pool/main/t', '"http://example.org/pool/main/t', "matching regex"),
        ('amd64.deb"', 'amd64.deb\\n"', "matching regex"),
        ('"name": "g++"', '"name": "tini"', "names tini more than once"),
        ('"build"', '"Build"', "matching regex"),
        ('    "system"', '<<<<<<< HEAD\n    "system"', "JSON is malformed"),
        ('  "date": "2026-11-14T10:05:11Z",\n', "", "missing required field `date`"),
        ('  "suites": ["trixie", "trixie-updates"],\n', "", "missing required field `suites`"),
        ("T10:05:11Z", "T10:05:11", "matching regex"),
        ("2026-11-14T10:05:11Z", "Sat, 14 Nov 2026", "matching regex"),
    ],
)
def test_a_malformed_lock_is_refused_with_what_is_wrong(old: str, new: str, message: str) -> None:
    text = format_lock(LOCK)
    assert old in text
    with pytest.raises(ImageError) as caught:
        parse_lock(text.replace(old, new), PATH)
    assert message in str(caught.value)
    assert str(caught.value).startswith("packages.lock.json: ")
    assert "//tools:update_debian" in str(caught.value)


def test_an_empty_file_is_no_lock() -> None:
    with pytest.raises(ImageError, match="is not a lock of Debian packages"):
        parse_lock("", PATH)


def test_a_lock_without_a_layer_is_none() -> None:
    with pytest.raises(ImageError, match="length >= 1"):
        parse_lock(format_lock(replace(LOCK, layers={})), PATH)
