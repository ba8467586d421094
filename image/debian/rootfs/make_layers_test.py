"""Tests of the layers, made of real packages of the lock: whoever makes them makes the same bytes."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from image.debian.lock.lock_file import Lock, format_lock, lock_name, parse_lock
from tests.debian.deb import Deb, Member

DEBS = {name: Path(os.environ[f"DEBIAN_{name.upper()}"]).parent.absolute() for name in ("amd64", "arm64")}
PROGRAMS = [Path(name).absolute() for name in os.environ["PROGRAMS"].split()]
TABLES = Path("image/debian/rootfs").absolute()
NOBODY = 65534


@pytest.fixture(scope="module", params=DEBS)
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def sample_lock(architecture: str = "amd64") -> Lock:
    path = Path("image/debian") / lock_name(architecture)
    lock = parse_lock(path.read_text(), path)
    here = os.environ["SAMPLE"].split()
    packages = [package for found in lock.layers.values() for package in found if package.name in here]
    upper = tuple(package for package in packages if "python3.13" in package.name)
    return replace(lock, layers={"lower": tuple(p for p in packages if p not in upper), "upper": upper})


def make(
    folder: Path,
    lock: Lock,
    *,
    packages: Path | None = None,
    programs: Sequence[Path] = PROGRAMS,
    tables: Path = TABLES,
    before: Sequence[str] = (),
    variables: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.CompletedProcess[str]:
    (folder / "lock.json").write_text(format_lock(lock))
    arguments: list[str | Path] = [
        "--lock",
        folder / "lock.json",
        "--tables",
        tables,
        "--packages",
        packages or DEBS[lock.architecture],
        "--output",
        folder,
        *(word for program in programs for word in ("--program", program)),
    ]
    return subprocess.run(
        [*before, sys.executable, "-m", "image.debian.rootfs.make_layers", *arguments],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": os.pathsep.join(sys.path), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def made(architecture: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        done = make(Path(directory), sample_lock(architecture))
        assert done.returncode == 0, done.stderr
        yield Path(directory)


@pytest.fixture(scope="module")
def layers(made: Path) -> dict[str, list[tarfile.TarInfo]]:
    found = {}
    for name in ("lower", "upper"):
        with tarfile.open(made / f"{name}.tar.gz", mode="r:gz") as archive:
            found[name] = archive.getmembers()
    return found


def test_another_user_mask_folder_zone_locale_and_hash_seed_make_the_same_bytes(
    made: Path, architecture: str
) -> None:
    is_root = os.geteuid() == 0
    before = ["sh", "-c", 'umask 077 && exec "$@"', "sh"]
    if is_root:
        # Who may read Python's own files in root's cache, and nothing more.
        capability = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        before = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *capability, *before]
    with tempfile.TemporaryDirectory(prefix="a-longer-name-with-a-ü-and a blank-" + "x" * 60) as directory:
        folder = Path(directory)
        scratch = folder / "scratch"
        scratch.mkdir()
        packages = shutil.copytree(DEBS[architecture], folder / "packages")
        (folder / "programs").mkdir()
        programs = [Path(shutil.copy(path, folder / "programs")) for path in PROGRAMS]
        tables = folder / "tables"
        tables.mkdir()
        for name in ("alternatives.txt", "scripts.txt"):
            shutil.copyfile(TABLES / name, tables / name)
        if is_root:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, NOBODY, NOBODY)
        variables = {
            "TZ": "Pacific/Kiritimati",
            "LC_ALL": "C.UTF-8",
            "LANGUAGE": "de",
            "PYTHONHASHSEED": "7",
            "HOME": "/nonexistent",
            "TMPDIR": str(scratch),
            "SOURCE_DATE_EPOCH": "1",
        }
        lock = sample_lock(architecture)
        done = make(
            folder,
            lock,
            packages=packages,
            programs=programs,
            tables=tables,
            before=before,
            variables=variables,
        )
        assert done.returncode == 0, done.stderr
        for name in ("lower.json", "upper.json", "lower.tar.gz", "upper.tar.gz"):
            assert (folder / name).read_bytes() == (made / name).read_bytes(), f"{name} differs"


def test_nothing_is_left_beside_the_layers(made: Path) -> None:
    expected = {"lock.json", "lower.json", "lower.tar.gz", "upper.json", "upper.tar.gz"}
    assert {path.name for path in made.iterdir()} == expected


def test_each_path_stands_once_in_a_layer_and_after_its_folder(
    layers: dict[str, list[tarfile.TarInfo]],
) -> None:
    below: set[str] = set()
    for members in layers.values():
        names = [member.name for member in members]
        assert len(names) == len(set(names))
        seen = set(below)
        for member in members:
            parent = member.name.rpartition("/")[0]
            assert not parent or parent in seen, f"{member.name} before its folder"
            assert not member.islnk() or member.linkname in seen, f"{member.name} before {member.linkname}"
            seen.add(member.name)
        below |= set(names)


def test_the_upper_layer_has_of_the_lower_one_only_what_it_changes(
    layers: dict[str, list[tarfile.TarInfo]],
) -> None:
    lower = {member.name for member in layers["lower"]}
    again = {member.name for member in layers["upper"] if member.name in lower and not member.isdir()}
    assert again == {"etc/ld.so.cache", "var/lib/dpkg/status"} & again
    assert "var/lib/dpkg/status" in again


def test_members_are_nobody_s_by_name_and_have_whole_seconds(
    layers: dict[str, list[tarfile.TarInfo]],
) -> None:
    members = [member for found in layers.values() for member in found]
    assert {(member.uname, member.gname) for member in members} == {("", "")}
    assert all(float(member.mtime).is_integer() for member in members)
    owners = {(member.uid, member.gid) for member in members}
    assert owners <= {(0, 0), (0, 8), (0, 42), (0, 43), (1000, 1000), (42, 0), (0, 50)}


def test_set_user_and_sticky_bits_are_in_the_layer(layers: dict[str, list[tarfile.TarInfo]]) -> None:
    modes = {member.name: member.mode for member in layers["lower"]}
    assert modes["usr/bin/passwd"] == 0o4755
    assert modes["tmp"] == 0o1777


def test_bytecode_is_there_for_the_library_and_for_nothing_of_the_builder(
    layers: dict[str, list[tarfile.TarInfo]],
) -> None:
    compiled = {member.name for member in layers["upper"] if member.name.endswith(".pyc")}
    assert "usr/lib/python3.13/__pycache__/json.cpython-313.pyc" not in compiled
    assert "usr/lib/python3.13/json/__pycache__/decoder.cpython-313.pyc" in compiled
    # A link to /etc, which compileall would follow to the builder's own.
    assert "usr/lib/python3.13/__pycache__/sitecustomize.cpython-313.pyc" not in compiled


def test_the_facts_are_those_of_the_blob(made: Path) -> None:
    facts = json.loads((made / "lower.json").read_text())
    assert facts["blob"]["size"] == (made / "lower.tar.gz").stat().st_size
    assert facts["createdBy"].endswith("packages of Debian trixie: lower")


def test_a_file_that_is_not_the_locked_package_is_refused_before_any_work(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    lock = sample_lock()
    first = replace(lock, layers={"lower": lock.layers["lower"][:1]})
    name = first.layers["lower"][0].name
    Deb(name, version="0").write(packages)
    done = make(tmp_path, first, packages=packages)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"error: {packages}/{name}.deb: is {name} 0, not what ")
    assert done.stderr.count("\n") == 1


def test_a_script_that_nobody_read_stops_the_action_with_one_message(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    lock = sample_lock()
    name = lock.layers["lower"][0].name
    for package in lock.layers["lower"]:
        shutil.copyfile(DEBS["amd64"] / package.source_file, packages / package.source_file)
    new = replace(lock.layers["lower"][0], name="new", version="1.0")
    Deb("new", members=(Member("./x"),), control_files={"preinst": "#!/bin/sh\n"}).write(packages)
    done = make(tmp_path, replace(lock, layers={"lower": (*lock.layers["lower"], new)}), packages=packages)
    assert done.returncode == 3
    assert "scripts.txt: does not list new, whose preinst is not run" in done.stderr
    assert done.stderr.startswith("error: ")
    assert not (tmp_path / "lower.tar.gz").exists(), f"{name} was unpacked for nothing"
