"""Tests of the resolver, with apt itself on a small archive of its own."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from image.debian.lock import resolver
from image.debian.lock.lock_file import Lock
from image.debian.lock.mirror import Mirrors
from image.debian.lock.resolver import resolve
from image.errors import ImageError, RegistryError
from tests.debian.archive import DebianArchive, SigningKey, debian_archive, signing_key
from tests.debian.deb import Deb

pytestmark = pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt-get is not here")

ESSENTIAL = Deb("dpkg", fields={"Essential": "yes", "Depends": "libc6"})
LIBC = Deb("libc6", "2.41-1")
TINI = Deb("tini", "0.19-1", fields={"Depends": "libc6 (>= 2.40)", "Recommends": "extra"})
EXTRA = Deb("extra", architecture="all")
GCC = Deb("gcc", "4:14-1", fields={"Depends": "libc6, cpp | old-cpp"})
CPP = Deb("cpp")
OLD_CPP = Deb("old-cpp", fields={"Conflicts": "cpp"})
BROKEN = Deb("broken", fields={"Depends": "nobody-has-it"})
ALL = (ESSENTIAL, LIBC, TINI, EXTRA, GCC, CPP, OLD_CPP, BROKEN)


@pytest.fixture(scope="module")
def key() -> Iterator[SigningKey]:
    with signing_key() as key:
        yield key


@pytest.fixture
def archive(tmp_path: Path, key: SigningKey) -> Iterator[tuple[DebianArchive, str]]:
    root = tmp_path / "archive"
    root.mkdir()
    with debian_archive(root, key) as (archive, url):
        archive.publish(ALL)
        yield archive, url


def names(lock: Lock) -> dict[str, set[str]]:
    return {layer: {package.name for package in packages} for layer, packages in lock.layers.items()}


def test_layers_hold_what_their_names_need_and_nothing_of_those_below(
    archive: tuple[DebianArchive, str], key: SigningKey
) -> None:
    layers = {"system": ("?essential", "tini"), "build": ("gcc", "tini")}
    lock = resolve(layers, "sha256:1", Mirrors(archive[1], None), keyring=key.keyring)
    assert names(lock) == {"system": {"dpkg", "libc6", "tini"}, "build": {"gcc", "cpp"}}
    assert (lock.suites, lock.architecture, lock.inputs) == (
        ("trixie", "trixie-updates"),
        "amd64",
        "sha256:1",
    )
    assert lock.date == "2026-11-14T10:05:11Z"


def test_a_package_is_locked_by_version_place_size_and_digest(
    archive: tuple[DebianArchive, str], key: SigningKey
) -> None:
    lock = resolve({"build": ("gcc",)}, "", Mirrors(archive[1], None), keyring=key.keyring)
    (gcc,) = (package for package in lock.layers["build"] if package.name == "gcc")
    content = (archive[0].root / gcc.path).read_bytes()
    assert (gcc.version, gcc.path) == ("4:14-1", "pool/main/g/gcc/gcc_4:14-1_amd64.deb")
    assert gcc.size_bytes == len(content)
    assert len(gcc.sha256) == 64


def test_updates_and_the_security_archive_count_and_the_newest_date_is_the_lock_s(
    archive: tuple[DebianArchive, str], key: SigningKey, tmp_path: Path
) -> None:
    archive[0].publish([Deb("libc6", "2.41-2")], "trixie-updates", date="Sun, 15 Nov 2026 00:00:00 UTC")
    (tmp_path / "security").mkdir()
    with debian_archive(tmp_path / "security", key) as (security, url):
        security.publish(
            [Deb("tini", "0.19-1+deb13u1")], "trixie-security", date="Mon, 16 Nov 2026 01:02:03 UTC"
        )
        lock = resolve({"system": ("tini", "libc6")}, "", Mirrors(archive[1], url), keyring=key.keyring)
    versions = {package.name: package.version for package in lock.layers["system"]}
    assert versions == {"libc6": "2.41-2", "tini": "0.19-1+deb13u1"}
    assert lock.date == "2026-11-16T01:02:03Z"
    assert lock.suites == ("trixie", "trixie-updates", "trixie-security")


def test_a_name_that_the_archive_lacks_is_named(archive: tuple[DebianArchive, str], key: SigningKey) -> None:
    with pytest.raises(ImageError, match="Unable to locate package no-such-name"):
        resolve({"system": ("tini", "no-such-name")}, "", Mirrors(archive[1], None), keyring=key.keyring)


def test_a_dependency_that_the_archive_lacks_is_named(
    archive: tuple[DebianArchive, str], key: SigningKey
) -> None:
    with pytest.raises(ImageError, match="failed") as caught:
        resolve({"system": ("broken",)}, "", Mirrors(archive[1], None), keyring=key.keyring)
    assert "broken" in str(caught.value)
    assert not isinstance(caught.value, RegistryError)


def test_an_upper_layer_may_not_take_away_what_a_lower_one_holds(
    archive: tuple[DebianArchive, str], key: SigningKey
) -> None:
    layers = {"system": ("gcc",), "build": ("old-cpp",)}
    with pytest.raises(ImageError, match=r"^layer build removes cpp, which a lower layer installs; "):
        resolve(layers, "", Mirrors(archive[1], None), keyring=key.keyring)


def test_a_signature_by_another_key_is_refused(archive: tuple[DebianArchive, str]) -> None:
    with signing_key() as other, pytest.raises(RegistryError, match="apt-get update") as caught:
        resolve({"system": ("tini",)}, "", Mirrors(archive[1], None), keyring=other.keyring)
    assert (
        "not signed" in str(caught.value)
        or "NO_PUBKEY" in str(caught.value)
        or "issing key" in str(caught.value)
    )


def test_lists_that_are_not_what_the_release_file_says_are_refused(
    archive: tuple[DebianArchive, str], key: SigningKey
) -> None:
    listed = archive[0].root / "dists" / "trixie" / "main" / "binary-amd64" / "Packages"
    listed.write_text(listed.read_text().replace("0.19-1", "0.19-9"))
    with pytest.raises(RegistryError, match="apt-get update"):
        resolve({"system": ("tini",)}, "", Mirrors(archive[1], None), keyring=key.keyring)


def test_a_mirror_that_does_not_answer_is_a_registry_s_error(key: SigningKey) -> None:
    with pytest.raises(RegistryError, match=r"(?s)^apt-get update .* failed:\n.*127\.0\.0\.1"):
        resolve({"system": ("tini",)}, "", Mirrors("http://127.0.0.1:9", None), keyring=key.keyring)


def test_no_mirror_is_told_with_what_to_set(key: SigningKey) -> None:
    with pytest.raises(ImageError, match="names no Debian mirror; name one in DEBIAN_MIRROR"):
        resolve({"system": ("tini",)}, "", Mirrors(None, None), keyring=key.keyring)


def test_a_machine_without_debian_s_keyring_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "_KEYRINGS", ("/nonexistent.gpg",))
    with pytest.raises(ImageError, match="install debian-archive-keyring"):
        resolve({"system": ("tini",)}, "", Mirrors("http://127.0.0.1:9", None))


def test_a_machine_without_apt_is_told_where_to_run(
    key: SigningKey, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImageError, match=r"^apt-get is not installed: run this on Debian or Ubuntu"):
        resolve({"system": ("tini",)}, "", Mirrors("http://127.0.0.1:9", None), keyring=key.keyring)


def test_apt_s_own_user_reaches_its_folder_under_any_umask(
    archive: tuple[DebianArchive, str], key: SigningKey
) -> None:
    before = os.umask(0o077)
    try:
        lock = resolve({"system": ("tini",)}, "", Mirrors(archive[1], None), keyring=key.keyring)
    finally:
        os.umask(before)
    assert names(lock) == {"system": {"tini", "libc6"}}


def test_apt_s_folder_is_gone_afterwards(
    archive: tuple[DebianArchive, str], key: SigningKey, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    resolve({"system": ("tini",)}, "", Mirrors(archive[1], None), keyring=key.keyring)
    assert list(scratch.iterdir()) == []
