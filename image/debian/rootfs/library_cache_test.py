"""Tests of the cache of libraries, against the ldconfig of Debian, on libraries of all shapes."""

import os
import random
import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from image.architecture import AMD64, ARM64, Architecture
from image.debian.rootfs.library_cache import format_cache, write_library_cache
from image.debian.rootfs.package import open_package
from image.debian.rootfs.tree import Tree
from image.elf_file import read_shared_object
from image.errors import ImageError
from image.stubs.shared_object import Stub, to_elf

FOLDERS = ("usr/local/lib", "usr/lib/x86_64-linux-gnu", "usr/lib")
CONFIGURATION = {
    "etc/ld.so.conf": "include /etc/ld.so.conf.d/*.conf\n",
    "etc/ld.so.conf.d/b.conf": "# A\n/lib/x86_64-linux-gnu # here\n/usr/lib/x86_64-linux-gnu\n/nowhere\n",
    "etc/ld.so.conf.d/a.conf": "\n/usr/local/lib\n",
}


@pytest.fixture(scope="module")
def ldconfig(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return Debian's program, and what its caches say of it."""
    package = open_package(Path(os.environ["LDCONFIG_PACKAGE"]))
    path = tmp_path_factory.mktemp("ldconfig") / "ldconfig"
    path.write_bytes(package.read("usr/sbin/ldconfig"))
    path.chmod(0o755)
    release = package.version.partition("-")[0]
    return path, f"ldconfig (Debian GLIBC {package.version}) stable release version {release}"


def library(soname: str, architecture: Architecture = AMD64) -> bytes:
    return to_elf(Stub(soname, "a test's", 1, ["one"]), architecture)


def make_tree(
    root: Path, files: Mapping[str, bytes], links: Mapping[str, str], architecture: Architecture = AMD64
) -> Tree:
    root.mkdir(parents=True)
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "lib").symlink_to("usr/lib")
    for name, text in CONFIGURATION.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name, content in files.items():
        (root / name).write_bytes(content)
    for name, target in links.items():
        (root / name).symlink_to(target)
    return Tree(root, 0, architecture)


def found(root: Path) -> dict[str, str]:
    """Return the links of the folders of libraries with their targets."""
    return {
        str(path.relative_to(root)): str(path.readlink())
        for folder in FOLDERS
        for path in (root / folder).iterdir()
        if path.is_symlink()
    }


def compare(
    folder: Path, ldconfig: tuple[Path, str], files: Mapping[str, bytes], links: Mapping[str, str]
) -> dict[str, str]:
    """Make the same tree twice, configure one by each of the two, and return the links."""
    program, maker = ldconfig
    theirs = make_tree(folder / "theirs", files, links)
    subprocess.run([program, "-r", theirs.root], check=True, capture_output=True)
    ours = make_tree(folder / "ours", files, links)
    write_library_cache(ours, maker)
    assert ours.path("etc/ld.so.cache").read_bytes() == theirs.path("etc/ld.so.cache").read_bytes()
    assert found(ours.root) == found(theirs.root)
    return found(ours.root)


def test_a_library_without_a_link_by_its_soname_gets_one(tmp_path: Path, ldconfig: tuple[Path, str]) -> None:
    made = compare(tmp_path, ldconfig, {"usr/lib/libx.so.1.2": library("libx.so.1")}, {})
    assert made == {"usr/lib/libx.so.1": "libx.so.1.2"}


def test_of_two_libraries_with_a_soname_the_newer_number_counts(
    tmp_path: Path, ldconfig: tuple[Path, str]
) -> None:
    files = {f"usr/lib/libx.so.1.{number}": library("libx.so.1") for number in (2, 10, 9)}
    assert compare(tmp_path, ldconfig, files, {}) == {"usr/lib/libx.so.1": "libx.so.1.10"}


def test_links_for_linkers_and_absolute_links_are_entries_of_their_own(
    tmp_path: Path, ldconfig: tuple[Path, str]
) -> None:
    files = {"usr/lib/libx.so.1.2": library("libx.so.1"), "etc/libblas.so.3": library("libblas.so.3")}
    links = {
        "usr/lib/libx.so.1": "libx.so.1.2",
        "usr/lib/libx.so": "libx.so.1",
        "usr/lib/libother.so": "libx.so.1",
        "usr/local/lib/libblas.so.3": "/etc/libblas.so.3",
        "usr/local/lib/libgone.so": "/etc/gone.so",
    }
    compare(tmp_path, ldconfig, files, links)


def test_what_is_no_library_of_the_architecture_is_left_out(
    tmp_path: Path, ldconfig: tuple[Path, str]
) -> None:
    whole = library("libx.so.1")
    files = {
        "usr/lib/libx.so.1": whole,
        "usr/lib/libother.so.1": library("libother.so.1", ARM64),
        "usr/lib/libscript.so": b"/* GNU ld script */ GROUP ( /usr/lib/libx.so.1 )\n",
        "usr/lib/libempty.so.1": b"",
        "usr/lib/libx.so.1-gdb.py": b"# for gdb",
        "usr/lib/x.so.1": whole,
        "usr/lib/libx.a": whole,
        "usr/local/lib/libx.so.1": whole,
    }
    compare(tmp_path, ldconfig, files, {})


@pytest.mark.parametrize("seed", range(40))
def test_any_folders_give_the_same_bytes_as_ldconfig(
    tmp_path: Path, ldconfig: tuple[Path, str], seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 (no secret)
    files: dict[str, bytes] = {}
    links: dict[str, str] = {}
    sonames: set[str] = set()
    for _ in range(chance.randrange(30)):
        folder = chance.choice(FOLDERS)
        stem = chance.choice(("lib", "ld-")) + "".join(chance.choices("ab10.-_+", k=chance.randrange(1, 5)))
        number = chance.choice(("1", "2", "10", "1.0", "09", "a", "1a"))
        soname = f"{stem}.so.{number}" if chance.random() < 0.8 else f"{stem}.so"
        name = f"{soname}.{chance.randrange(12)}" if chance.random() < 0.6 else soname
        files[f"{folder}/{name}"] = library(soname)
        sonames.add(f"{folder}/{soname}")
        if chance.random() < 0.3:
            links.setdefault(f"{folder}/{stem}.so", name)
    compare(tmp_path, ldconfig, files, {name: to for name, to in links.items() if name not in sonames})


def test_the_library_of_another_architecture_has_its_flags_and_the_folder_searched_first_stays_first(
    tmp_path: Path,
) -> None:
    files = {
        f"{folder}/libx.so.1": library("libx.so.1", ARM64) for folder in ("usr/lib", "usr/local/lib")
    } | {"usr/lib/liby.so.1": library("liby.so.1", AMD64)}
    tree = make_tree(tmp_path / "root", files, {}, ARM64)
    write_library_cache(tree, "a test")
    content = tree.path("etc/ld.so.cache").read_bytes()
    (count,) = struct.unpack_from("<I", content, 20)
    entries = [struct.unpack_from("<iIIIQ", content, 48 + 24 * number) for number in range(count)]
    paths = [content[path : content.index(b"\0", path)].decode() for _, _, path, _, _ in entries]
    assert [flags for flags, *_ in entries] == [0x0A03, 0x0A03]
    assert paths == ["/usr/local/lib/libx.so.1", "/lib/libx.so.1"]


def test_a_link_by_soname_to_an_older_library_is_refused(tmp_path: Path) -> None:
    files = {f"usr/lib/libx.so.1.{number}": library("libx.so.1") for number in (1, 2)}
    tree = make_tree(tmp_path / "root", files, {"usr/lib/libx.so.1": "libx.so.1.1"})
    with pytest.raises(
        ImageError, match=r"^/usr/lib/libx\.so\.1: leads to another file than libx\.so\.1\.2, "
    ):
        write_library_cache(tree, "a test")


def test_a_line_that_nobody_understands_is_refused(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "root", {}, {})
    tree.path("etc/ld.so.conf").write_text("hwcap 1 nosegneg\n")
    with pytest.raises(ImageError, match=r"^/etc/ld\.so\.conf: 'hwcap 1 nosegneg' is neither a folder nor"):
        write_library_cache(tree, "a test")


def test_the_order_of_the_folders_read_changes_no_byte() -> None:
    names = [("libb.so.10", "/a/libb.so.10"), ("libb.so.9", "/a/libb.so.9"), ("liba.so", "/a/liba.so")]
    contents = {format_cache(order, 0x0303, "x") for order in (names, names[::-1])}
    assert len(contents) == 1


def test_a_damaged_library_is_not_read(tmp_path: Path) -> None:
    whole = library("libx.so.1")
    path = tmp_path / "libx.so.1"
    for length in (0, 3, 20, 64, 100, len(whole) // 2):
        path.write_bytes(whole[:length])
        assert read_shared_object(path) is None
    shutil.copyfile("/dev/null", path)
    assert read_shared_object(path) is None
