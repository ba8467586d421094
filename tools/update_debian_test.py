"""Tests of `tools:update_debian` from its command line, with apt itself on a small archive."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.filesize import decimal

from image.debian.lock.lock_file import inputs_digest, parse_lock
from tests.debian.archive import DebianArchive, SigningKey, debian_archive, signing_key
from tests.debian.deb import Deb
from tools.update_debian import main

pytestmark = pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt-get is not here")

LIST = "[system]\ntini  # PID 1\n\n[build]\ngcc  # builds\n"
TINI = Deb("tini", "0.19-1", fields={"Depends": "libc6"})
GCC = Deb("gcc", "4:14-1", fields={"Depends": "libc6"})
LIBC = Deb("libc6", "2.41-1")


class Desk:
    """A folder with a list, an archive, and the command."""

    def __init__(self, folder: Path, archive: DebianArchive, url: str) -> None:
        self.folder, self.archive, self.url = folder, archive, url
        self.lock = folder / "packages.amd64.lock.json"
        self.other_lock = folder / "packages.arm64.lock.json"
        (folder / "packages.txt").write_text(LIST)

    def run(self, *options: str, url: str | None = None, keyring: Path | None = None) -> Result:
        key = keyring or self.archive.key.keyring
        arguments = ["--directory", str(self.folder), "--keyring", str(key), *options]
        # The machine's own security archive, where it has one, is none of this.
        variables = {"DEBIAN_MIRROR": url or self.url, "DEBIAN_SECURITY_MIRROR": url or self.url}
        return CliRunner().invoke(main, arguments, env=variables)

    def versions(self) -> dict[str, str]:
        lock = parse_lock(self.lock.read_text(), self.lock)
        return {package.name: package.version for found in lock.layers.values() for package in found}


@pytest.fixture(scope="module")
def key() -> Iterator[SigningKey]:
    with signing_key() as key:
        yield key


@pytest.fixture
def desk(tmp_path: Path, key: SigningKey) -> Iterator[Desk]:
    (tmp_path / "archive").mkdir()
    (tmp_path / "lists").mkdir()
    with debian_archive(tmp_path / "archive", key) as (archive, url):
        archive.publish([TINI, GCC, LIBC])
        archive.publish([], "trixie-security")
        yield Desk(tmp_path / "lists", archive, url)


def test_the_lock_is_written_and_belongs_to_the_list(desk: Desk) -> None:
    done = desk.run()
    assert (done.exit_code, done.stderr) == (0, "")
    lock = parse_lock(desk.lock.read_text(), desk.lock)
    system, build = (decimal(sum(one.size_bytes for one in found)) for found in lock.layers.values())
    told = f"system: 2 packages, {system}; build: 1 packages, {build}"
    lines = done.stdout.splitlines()
    assert lines[0] == f"packages.amd64.lock.json: written, {told}"
    assert lines[1].startswith("packages.arm64.lock.json: written, system: 2 packages, ")
    assert lock.inputs == inputs_digest(LIST)
    assert [sorted(package.name for package in found) for found in lock.layers.values()] == [
        ["libc6", "tini"],
        ["gcc"],
    ]
    assert desk.url not in desk.lock.read_text()
    assert {path.name for path in desk.folder.iterdir()} == {
        "packages.txt", "packages.amd64.lock.json", "packages.arm64.lock.json",
    }  # fmt: skip


def test_a_lock_of_the_newest_packages_stays_untouched_even_when_the_archive_has_a_new_date(
    desk: Desk,
) -> None:
    desk.run()
    before = desk.lock.read_bytes()
    os.utime(desk.lock, (1, 1))
    desk.archive.publish([TINI, GCC, LIBC], date="Sun, 15 Nov 2026 10:05:11 UTC")
    for options in ((), ("--check",)):
        done = desk.run(*options)
        assert (done.exit_code, done.stdout.count("lock.json: up to date, ")) == (0, 2)
    assert desk.lock.read_bytes() == before
    assert desk.lock.stat().st_mtime == 1


def test_each_architecture_has_a_lock_of_its_own_packages(desk: Desk) -> None:
    desk.run()
    lock = parse_lock(desk.other_lock.read_text(), desk.other_lock)
    assert lock.architecture == "arm64"
    paths = [package.path for found in lock.layers.values() for package in found]
    assert [path for path in paths if not path.endswith("_arm64.deb")] == []
    before = desk.lock.read_bytes()
    desk.other_lock.unlink()
    assert desk.run("--check").exit_code == 1
    assert "amd64.lock.json: up to date" in desk.run().stdout
    assert (desk.lock.read_bytes(), desk.other_lock.exists()) == (before, True)


def test_the_lock_of_one_architecture_alone_is_written(desk: Desk) -> None:
    done = desk.run("--architecture", "arm64")
    assert done.stdout.startswith("packages.arm64.lock.json: written, ")
    assert (desk.lock.exists(), desk.other_lock.exists()) == (False, True)


def test_what_changes_is_told_package_by_package(desk: Desk) -> None:
    desk.run()
    desk.archive.publish(
        [Deb("tini", "0.20-1"), Deb("gcc", "4:14-1", fields={"Depends": "new"}), Deb("new")],
        date="Sun, 15 Nov 2026 10:05:11 UTC",
    )
    done = desk.run()
    changes = ["  libc6: 2.41-1 -> gone", "  new: new -> 1.0", "  tini: 0.19-1 -> 0.20-1"]
    lines = done.stdout.splitlines()
    assert lines[1:4] == lines[5:] == changes
    assert desk.versions() == {"tini": "0.20-1", "gcc": "4:14-1", "new": "1.0"}
    assert '"date": "2026-11-15T10:05:11Z"' in desk.lock.read_text()


def test_a_check_writes_nothing_and_shows_the_difference(desk: Desk) -> None:
    desk.run()
    before = desk.lock.read_bytes()
    desk.archive.publish([Deb("tini", "0.20-1"), GCC, LIBC])
    done = desk.run("--check")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"error: {desk.lock}: differs from the mirror's packages; ")
    assert '\n-      {"name": "tini", "version": "0.19-1"' in done.stderr
    assert '\n+      {"name": "tini", "version": "0.20-1"' in done.stderr
    assert desk.lock.read_bytes() == before


def test_a_check_without_a_lock_fails_and_makes_none(desk: Desk) -> None:
    assert desk.run("--check").exit_code == 1
    assert not desk.lock.exists()


def test_a_list_that_changed_makes_another_lock_though_the_packages_are_the_same(desk: Desk) -> None:
    desk.run()
    (desk.folder / "packages.txt").write_text(LIST.replace("tini  #", "libc6 # named\ntini  #"))
    assert desk.run("--check").exit_code == 1
    assert desk.run().stdout.count("lock.json: written, ") == 2


def test_a_mirror_that_does_not_answer_changes_nothing(desk: Desk) -> None:
    desk.run()
    before = desk.lock.read_bytes()
    done = desk.run(url="http://127.0.0.1:9")
    assert done.exit_code == 4
    assert done.stderr.startswith("error: apt-get update")
    assert desk.lock.read_bytes() == before


def test_a_wrong_signature_changes_nothing(desk: Desk) -> None:
    with signing_key() as other:
        done = desk.run(keyring=other.keyring)
    assert done.exit_code == 4
    assert not desk.lock.exists()


def test_debian_s_own_keys_are_the_default(desk: Desk) -> None:
    done = CliRunner().invoke(
        main,
        ["--directory", str(desk.folder)],
        env={"DEBIAN_MIRROR": desk.url, "DEBIAN_SECURITY_MIRROR": desk.url},
    )
    # No keyring here, or one that did not sign this archive.
    assert done.exit_code in {3, 4}
    assert not desk.lock.exists()


def test_a_name_that_does_not_exist_is_refused_and_the_lock_kept(desk: Desk) -> None:
    desk.run()
    before = desk.lock.read_bytes()
    (desk.folder / "packages.txt").write_text(LIST + "no-such-name # never\n")
    done = desk.run()
    assert done.exit_code == 3
    assert "no-such-name" in done.stderr
    assert desk.lock.read_bytes() == before


@pytest.mark.parametrize("broken", ["<<<<<<< HEAD\n", "\x00", ""])
def test_a_broken_lock_is_mended(desk: Desk, broken: str) -> None:
    desk.lock.write_text(broken)
    done = desk.run()
    assert (done.exit_code, done.stderr) == (0, "")
    assert desk.versions().keys() == {"tini", "gcc", "libc6"}


def test_a_list_that_is_missing_or_malformed_is_refused_without_a_look_at_the_mirror(desk: Desk) -> None:
    (desk.folder / "packages.txt").write_text("[system]\ntini\n")
    done = desk.run(url="http://127.0.0.1:9")
    assert (done.exit_code, "packages.txt:2: expected a package's name" in done.stderr) == (3, True)
    (desk.folder / "packages.txt").unlink()
    done = desk.run(url="http://127.0.0.1:9")
    assert (done.exit_code, "packages.txt: cannot be read" in done.stderr) == (3, True)


def test_a_lock_that_cannot_be_written_is_named_and_the_old_one_kept(desk: Desk) -> None:
    (desk.folder / "packages.amd64.lock.new").mkdir()
    done = desk.run()
    assert done.exit_code == 3
    assert done.stderr.startswith(f"error: {desk.lock}: cannot be written: ")
    assert not desk.lock.exists()


def test_a_run_by_hand_needs_the_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BUILD_WORKSPACE_DIRECTORY", raising=False)
    done = CliRunner().invoke(main, [])
    assert done.exit_code == 2
    assert "name the directory of the lists with --directory" in done.stderr
