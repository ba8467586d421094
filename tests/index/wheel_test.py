import base64
import csv
import hashlib
import io
import stat
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.index.wheel import Damage, WheelSpec, build_wheel, normalized, read_wheel, write_wheel

SPEC = WheelSpec(
    "Foo.Bar",
    "1.0+cu118",
    python_tag="py2.py3",
    requires_python=">=3.9",
    requires_dist=("baz>=1; extra == 'fast'",),
    extras=("fast",),
    files={"foo/__init__.py": b"x = 1\n", "foo/bin/tool": b"#!/bin/sh\n"},
    executables=frozenset({"foo/bin/tool"}),
    data={"scripts/hello": b"#!python\n"},
    console_scripts={"foo": "foo:main"},
)


def opened(spec: WheelSpec) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(build_wheel(spec)))


def record_of(archive: zipfile.ZipFile) -> dict[str, tuple[str, str]]:
    name = next(name for name in archive.namelist() if name.endswith(".dist-info/RECORD"))
    lines = csv.reader(io.StringIO(archive.read(name).decode()))
    return {path: (digest, size) for path, digest, size in lines}


def digest_of(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def test_the_file_name_is_escaped_and_keeps_the_local_version() -> None:
    assert SPEC.filename == "foo_bar-1.0+cu118-py2.py3-none-any.whl"
    assert replace(SPEC, build_tag="1").filename == "foo_bar-1.0+cu118-1-py2.py3-none-any.whl"


def test_the_same_description_gives_the_same_bytes_whatever_the_order_of_its_files() -> None:
    turned = replace(SPEC, files=dict(reversed(list(SPEC.files.items()))))
    assert build_wheel(SPEC) == build_wheel(turned)
    assert hashlib.sha256(build_wheel(SPEC)).hexdigest() == (
        "eda88e406382d767ff60f71019f469e49d7c74369072f366fd2dbb6c49e580fa"
    )


@pytest.mark.parametrize("deflated", [False, True])
def test_record_has_the_hash_and_size_of_each_member(deflated: bool) -> None:
    archive = opened(replace(SPEC, deflated=deflated))
    record = record_of(archive)
    assert record.pop("foo_bar-1.0+cu118.dist-info/RECORD") == ("", "")
    expected = {
        name: (digest_of(archive.read(name)), str(len(archive.read(name))))
        for name in archive.namelist()
        if not name.endswith("/RECORD")
    }
    assert record == expected
    assert archive.namelist()[-1].endswith("/RECORD")


def test_metadata_and_wheel_files_say_what_the_description_says() -> None:
    archive = opened(SPEC)
    metadata = archive.read("foo_bar-1.0+cu118.dist-info/METADATA").decode().splitlines()
    assert {"Name: Foo.Bar", "Version: 1.0+cu118", "Requires-Python: >=3.9", "Provides-Extra: fast"} <= set(
        metadata
    )
    assert "Requires-Dist: baz>=1; extra == 'fast'" in metadata
    wheel = archive.read("foo_bar-1.0+cu118.dist-info/WHEEL").decode().splitlines()
    assert [line for line in wheel if line.startswith("Tag: ")] == ["Tag: py2-none-any", "Tag: py3-none-any"]
    assert (
        archive.read("foo_bar-1.0+cu118.dist-info/entry_points.txt") == b"[console_scripts]\nfoo = foo:main\n"
    )
    assert archive.read("foo_bar-1.0+cu118.data/scripts/hello") == b"#!python\n"


def test_only_executables_have_the_executable_bits() -> None:
    modes = {member.filename: member.external_attr >> 16 for member in opened(SPEC).infolist()}
    assert stat.S_IMODE(modes["foo/bin/tool"]) == 0o755
    assert stat.S_IMODE(modes["foo/__init__.py"]) == 0o644


def test_a_wrong_hash_is_in_record_and_the_content_is_right() -> None:
    archive = opened(replace(SPEC, damage=Damage(wrong_hashes=frozenset({"foo/__init__.py"}))))
    digest, size = record_of(archive)["foo/__init__.py"]
    assert archive.read("foo/__init__.py") == b"x = 1\n"
    assert (digest != digest_of(b"x = 1\n"), size) == (True, "6")


def test_an_unrecorded_member_is_in_the_archive_alone() -> None:
    archive = opened(replace(SPEC, damage=Damage(unrecorded={"foo/extra.py": b"y = 2\n"})))
    assert archive.read("foo/extra.py") == b"y = 2\n"
    assert "foo/extra.py" not in record_of(archive)


def test_escaping_members_and_symbolic_links_are_written_as_they_are() -> None:
    damage = Damage(escaping={"../../x": b"x", "/etc/y": b"y"}, symlinks={"foo/link": "/etc/passwd"})
    archive = opened(replace(SPEC, damage=damage))
    assert {"../../x", "/etc/y", "foo/link"} <= set(archive.namelist())
    assert stat.S_ISLNK(archive.getinfo("foo/link").external_attr >> 16)
    assert archive.read("foo/link") == b"/etc/passwd"


def test_a_wheel_may_lack_its_record_or_its_end_or_lie_about_its_name() -> None:
    assert not any(
        "RECORD" in name for name in opened(replace(SPEC, damage=Damage(without_record=True))).namelist()
    )
    whole = build_wheel(SPEC)
    assert build_wheel(replace(SPEC, damage=Damage(truncated_to_bytes=100))) == whole[:100]
    renamed = opened(replace(SPEC, damage=Damage(metadata_name="other")))
    assert b"Name: other\n" in renamed.read("foo_bar-1.0+cu118.dist-info/METADATA")


def test_damage_to_a_member_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"foo_bar.*: no such members: foo/nothing\.py"):
        build_wheel(replace(SPEC, damage=Damage(wrong_hashes=frozenset({"foo/nothing.py"}))))


def test_a_written_wheel_knows_its_size_its_hash_and_its_metadata(tmp_path: Path) -> None:
    wheel = write_wheel(SPEC, tmp_path / "wheels")
    content = wheel.path.read_bytes()
    assert (wheel.filename, wheel.size_bytes) == (SPEC.filename, len(content))
    assert wheel.sha256 == hashlib.sha256(content).hexdigest()
    assert wheel.metadata == opened(SPEC).read("foo_bar-1.0+cu118.dist-info/METADATA")
    assert wheel.requirement == f"Foo.Bar==1.0+cu118 --hash=sha256:{wheel.sha256}"


@pytest.mark.parametrize("name", ["Foo.Bar", "foo_bar", "FOO--bar", "foo-.-bar"])
def test_names_are_normalized_as_an_index_does(name: str) -> None:
    assert normalized(name) == "foo-bar"


@pytest.mark.parametrize("build_tag", ["", "1"])
def test_an_existing_wheel_is_what_it_was_when_it_was_written(tmp_path: Path, build_tag: str) -> None:
    written = write_wheel(replace(SPEC, build_tag=build_tag, platform_tag="manylinux_2_28_aarch64"), tmp_path)
    found = read_wheel(written.path)
    assert replace(found, spec=written.spec) == written
    assert found.spec.filename == written.filename
