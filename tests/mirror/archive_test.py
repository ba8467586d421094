"""A mirror in an archive: resumed, the same each time, checked, and read as a source."""

import hashlib
import shutil
import subprocess

import pytest

from tests.index.fault import stall, status
from tests.mirror.desk import Desk, tree_of

pytest_plugins = ["tests.index.fixture", "tests.mirror.fixture"]


def test_an_archive_holds_the_tree_and_is_the_same_each_time(desk: Desk) -> None:
    first, second, tree = desk.folder / "a.tar", desk.folder / "b.tar", desk.folder / "tree"
    desk.mirror("--to", str(first))
    desk.mirror("--to", str(tree))
    with desk.index.down():
        desk.mirror("--to", str(second), "--from", str(tree))
    assert first.read_bytes() == second.read_bytes()
    (desk.folder / "out").mkdir()
    subprocess.run(["tar", "-xf", first, "-C", desk.folder / "out"], check=True)  # noqa: S607
    assert tree_of(desk.folder / "out") == tree_of(tree)
    digest = hashlib.sha256(first.read_bytes()).hexdigest()
    assert (desk.folder / "a.tar.sha256").read_text() == f"{digest}  a.tar\n"
    assert not list(desk.folder.glob("*.partial"))


def test_a_killed_archive_goes_on_behind_its_last_byte(desk: Desk) -> None:
    archive, whole = desk.folder / "a.tar", desk.folder / "whole.tar"
    desk.mirror("--to", str(whole))
    name = desk.large.filename
    desk.index.log.clear()
    with desk.index.fault(stall("*torch*.whl", delay_s=600, after_bytes=1_000_000)):
        running = desk.start("--to", str(archive))
        desk.index.log.wait_for(
            lambda requests: any(one.filename == name and one.bytes_sent >= 1_000_000 for one in requests), 60
        )
        running.kill()
        running.communicate()
    assert not archive.exists()
    desk.index.log.clear()
    desk.mirror("--to", str(archive))
    ranges = [one.range for one in desk.index.log.requests() if one.filename == name]
    assert len(ranges) == 1
    assert archive.read_bytes() == whole.read_bytes()


def test_a_damaged_partial_archive_is_written_again_from_there(desk: Desk) -> None:
    archive, whole = desk.folder / "a.tar", desk.folder / "whole.tar"
    desk.mirror("--to", str(whole))
    content = bytearray(whole.read_bytes())
    content[desk.large.size_bytes // 2] ^= 0xFF
    (desk.folder / "a.tar.partial").write_bytes(content)
    desk.mirror("--to", str(archive))
    assert archive.read_bytes() == whole.read_bytes()


def test_an_archive_is_not_begun_if_a_wheel_cannot_be_had(desk: Desk) -> None:
    archive = desk.folder / "a.tar"
    with desk.index.fault(status("*/torch/", code=404, times=None)):
        done = desk.mirror("--to", str(archive), exit_code=7)
    assert "not written, as 1 files cannot be had" in done.stderr
    assert desk.large.filename in done.stderr
    assert not list(desk.folder.glob("a.tar*"))


def test_check_finds_a_damaged_byte_and_a_wrong_checksum(desk: Desk) -> None:
    archive = desk.folder / "a.tar"
    desk.mirror("--to", str(archive))
    assert "has all 4 locks" in desk.mirror("--to", str(archive), "--check").stderr
    content = bytearray(archive.read_bytes())
    content[desk.large.size_bytes // 2] ^= 0xFF
    archive.write_bytes(content)
    found = desk.mirror("--to", str(archive), "--check", exit_code=1)
    assert f"{desk.large.filename} (3.0 MB" in found.stdout
    assert "is damaged" in found.stdout
    assert "a.tar: its digest is" in found.stdout
    archive.write_bytes(content[:1_000_000])
    cut = desk.mirror("--to", str(archive), "--check", exit_code=4)
    assert "copy it again" in cut.stderr


@pytest.mark.parametrize("option", [["--verify"], []])
def test_a_damaged_archive_is_written_again_and_gets_no_checksum_of_its_damage(
    desk: Desk, option: list[str]
) -> None:
    archive, checksum = desk.folder / "a.tar", desk.folder / "a.tar.sha256"
    desk.mirror("--to", str(archive))
    whole, expected = archive.read_bytes(), checksum.read_bytes()
    content = bytearray(whole)
    content[desk.large.size_bytes // 2] ^= 0xFF
    archive.write_bytes(content)
    if option:  # the checksum was written beside the damaged file, as by hand
        checksum.write_text(f"{hashlib.sha256(content).hexdigest()}  a.tar\n")
    assert "--verify" in desk.mirror("--to", str(archive), "--check", exit_code=1).stderr
    assert "has all 4 locks" in desk.mirror("--to", str(archive), "--check", "--no-verify").stderr
    done = desk.mirror("--to", str(archive), *option)
    assert "sent 3 blobs" in done.stderr
    assert (archive.read_bytes(), checksum.read_bytes()) == (whole, expected)
    checksum.unlink()
    assert "sent 0 blobs" in desk.mirror("--to", str(archive)).stderr
    assert checksum.read_bytes() == expected


def test_the_archive_of_a_new_generation_takes_from_the_old_one_what_both_have(desk: Desk) -> None:
    archive = desk.folder / "a.tar"
    desk.mirror("--to", str(archive))
    desk.index.log.clear()
    desk.mirror("--to", str(archive), "--min-gen-id", "0")
    assert set(desk.index.log.wheel_downloads()) == {desk.old.filename}
    assert "has all 5 locks" in desk.mirror("--to", str(archive), "--min-gen-id", "0", "--check").stderr


def test_a_folder_is_filled_from_an_archive_in_place(desk: Desk) -> None:
    desk.mirror("--to", str(desk.folder / "a.tar"))
    desk.mirror("--to", str(desk.folder / "a"))
    with desk.index.down():
        desk.mirror("--to", str(desk.folder / "b"), "--from", str(desk.folder / "a.tar"))
    assert tree_of(desk.folder / "a") == tree_of(desk.folder / "b")
    shutil.rmtree(desk.folder / "b")
