"""A mirror in a folder: what is in it, who installs from it, and what a fault leaves."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from tests.index.client import pip_command, pip_environment, uv_binary, uv_environment
from tests.index.fault import corrupt, stall, status, substitute, truncate
from tests.mirror.desk import ENVIRONMENT, Desk, tree_of
from tests.mirror.web_folder import web_folder
from tests.registry.scripted_server import Answer, scripted_server
from tools.mirror.cli import main

pytest_plugins = ["tests.index.fixture", "tests.mirror.fixture"]


def test_a_folder_gets_each_wheel_once_and_nothing_the_second_time(desk: Desk) -> None:
    mirror = desk.folder / "mirror"
    first = desk.mirror("--to", str(mirror))
    assert "sent 3 blobs" in first.stderr
    assert desk.index.log.wheel_downloads()[desk.large.filename] == 1
    assert {path.name for path in (mirror / "files").iterdir()} == desk.wheels()
    before = tree_of(mirror)
    desk.index.log.clear()
    second = desk.mirror("--to", str(mirror))
    assert "sent 0 blobs (0 bytes), 3 blobs" in second.stderr
    assert desk.index.log.requests() == ()
    assert tree_of(mirror) == before
    assert "has all 4 locks" in desk.mirror("--to", str(mirror), "--check").stderr


def test_the_same_locks_give_the_same_tree_from_any_source(desk: Desk) -> None:
    desk.mirror("--to", str(desk.folder / "a"))
    with web_folder(desk.folder / "a") as web:
        desk.mirror("--to", str(desk.folder / "b"), "--from", web.url)
    desk.mirror("--to", str(desk.folder / "c"), "--from", str(desk.folder / "b"), "--jobs", "1")
    assert tree_of(desk.folder / "a") == tree_of(desk.folder / "b") == tree_of(desk.folder / "c")


def test_uv_and_pip_install_from_a_folder_that_a_web_server_serves(desk: Desk) -> None:
    desk.mirror("--to", str(desk.folder / "mirror"))
    with web_folder(desk.folder / "mirror") as web, desk.index.down():
        subprocess.run(
            [uv_binary(), "pip", "install", "--python", sys.executable, "--default-index",
             f"{web.url}/simple", "--target", str(desk.folder / "uv"), "torch==2.4.1+cpu", "shared"],
            env=uv_environment(desk.index, desk.folder), check=True,
        )  # fmt: skip
        subprocess.run(
            [*pip_command(), "install", "--quiet", "--index-url", f"{web.url}/simple", "--target",
             str(desk.folder / "pip"), "torch==2.4.1+cpu", "shared"],
            env=pip_environment(desk.index, desk.folder), check=True,
        )  # fmt: skip
    for installer in ("uv", "pip"):
        assert (desk.folder / installer / "torch" / "lib").stat().st_size
        assert (desk.folder / installer / "shared.py").read_text() == "VALUE = 2\n"


def test_uv_installs_from_the_folder_itself(desk: Desk) -> None:
    desk.mirror("--to", str(desk.folder / "mirror"))
    lock = desk.definitions / "g00001" / "python3.11-torch2.4.1-cpu.txt"
    without_index = "".join(
        line for line in lock.read_text().splitlines(keepends=True) if not line.startswith("--")
    )
    (desk.folder / "lock.txt").write_text(without_index)
    with desk.index.down():
        subprocess.run(
            [uv_binary(), "pip", "install", "--python", sys.executable, "--default-index",
             (desk.folder / "mirror" / "simple").as_uri(), "--no-deps", "--require-hashes", "--target",
             str(desk.folder / "uv"), "-r", str(desk.folder / "lock.txt")],
            env=uv_environment(desk.index, desk.folder), check=True,
        )  # fmt: skip
    assert (desk.folder / "uv" / "torch" / "lib").stat().st_size


def test_ten_cuts_within_a_wheel_send_no_byte_twice(desk: Desk) -> None:
    name, cuts, step = desk.large.filename, 10, 200_000
    with desk.index.fault(truncate("*torch*.whl", after_bytes=step, times=cuts)):
        desk.mirror("--to", str(desk.folder / "mirror"), "--jobs", "1")
    asked = [request.range for request in desk.index.log.requests() if request.filename == name]
    assert asked == [None, *(f"bytes={step * number}-" for number in range(1, cuts + 1))]
    assert desk.index.log.wheel_bytes()[name] == desk.large.size_bytes
    path = desk.folder / "mirror" / "files" / desk.large.sha256 / name
    assert path.stat().st_size == desk.large.size_bytes


def test_a_killed_run_leaves_nothing_under_a_final_name_and_the_next_one_goes_on(desk: Desk) -> None:
    mirror = desk.folder / "mirror"
    name = desk.large.filename
    with desk.index.fault(stall("*torch*.whl", delay_s=600, after_bytes=1_000_000)):
        running = desk.start("--to", str(mirror), "--jobs", "1")
        partial_file = mirror / ".partial" / desk.large.sha256
        desk.index.log.wait_for(
            lambda requests: any(one.filename == name and one.bytes_sent >= 1_000_000 for one in requests), 60
        )
        running.kill()
        running.communicate()
    assert not [path for path in tree_of(mirror) if path.startswith("files/")]
    kept = partial_file.stat().st_size
    desk.index.log.clear()
    desk.mirror("--to", str(mirror))
    (request,) = [one for one in desk.index.log.requests() if one.filename == name]
    assert request.range == (f"bytes={kept}-" if kept else None)
    assert "has all" in desk.mirror("--to", str(mirror), "--check").stderr


def test_two_mirrors_into_one_folder_wait_for_each_other(desk: Desk) -> None:
    mirror = desk.folder / "mirror"
    with desk.index.fault(stall("*torch*.whl", delay_s=600, after_bytes=1000)):
        first = desk.start("--to", str(mirror))
        desk.index.log.wait_for(
            lambda requests: any(one.filename == desk.large.filename for one in requests), 60
        )
        second = desk.start("--to", str(mirror))
        assert second.stderr is not None
        assert "another mirror writes there; waiting" in second.stderr.readline()
    first.kill()
    first.communicate()
    _, said = second.communicate(timeout=120)
    assert second.returncode == 0, said
    assert "has all" in desk.mirror("--to", str(mirror), "--check").stderr


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (status("*torch*.whl", code=404, times=None), "answers 404"),
        (corrupt("*torch*.whl", times=None), "has another file under this name"),
        (substitute("*torch*.whl", b"x", times=None), "ended after 1 of"),
        (status("*/torch/", code=404, times=None), "answers 404"),
    ],
)
def test_a_wheel_that_the_index_lacks_is_told_with_its_lock_and_the_others_arrive(
    desk: Desk, fault: object, said: str
) -> None:
    mirror = desk.folder / "mirror"
    with desk.index.fault(fault):  # type: ignore[arg-type]
        done = desk.mirror("--to", str(mirror), "--retries", "0", exit_code=4 if "ended" in said else 7)
    assert f"{desk.large.filename} (of {ENVIRONMENT}, {ENVIRONMENT}-aarch64): cannot be had:" in done.stderr
    assert said in done.stderr
    assert desk.index.origin in done.stderr
    assert "--from" in done.stderr
    assert len(list((mirror / "files").iterdir())) == 2
    assert sorted(path.stem for path in (mirror / "artifacts").iterdir()) == [
        "g00001-cuda12.4", "g00001-python3.11",
    ]  # fmt: skip
    assert "torch" in desk.mirror("--to", str(mirror), "--check", exit_code=1).stdout
    desk.mirror("--to", str(mirror))
    assert "has all" in desk.mirror("--to", str(mirror), "--check").stderr


def test_a_wheel_that_one_source_lacks_comes_from_the_next(desk: Desk) -> None:
    folder = desk.folder / "wheels"
    folder.mkdir()
    (folder / desk.large.filename).write_bytes(bytes(desk.large.size_bytes))
    done = desk.mirror("--to", str(desk.folder / "mirror"), "--from", str(folder), "--from", "index")
    assert "sent 3 blobs" in done.stderr
    assert "has all" in desk.mirror("--to", str(desk.folder / "mirror"), "--check").stderr


def test_an_index_that_is_down_is_one_message_for_the_network(desk: Desk) -> None:
    with desk.index.down():
        done = desk.mirror("--to", str(desk.folder / "mirror"), "--retries", "0", exit_code=4)
    assert "the connection failed" in done.stderr


def test_pruning_removes_what_is_not_named_and_leaves_what_is_not_a_mirrors(desk: Desk) -> None:
    mirror = desk.folder / "mirror"
    desk.mirror("--to", str(mirror), "--min-gen-id", "0")
    own = mirror / "files" / desk.old.sha256
    foreign = [mirror / "notes.txt", mirror / "files" / "notes.txt", mirror / "files" / ("0" * 64) / "x.txt"]
    for path in foreign:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    assert own.is_dir()
    shown = desk.mirror("--to", str(mirror), "--check", "--prune")
    assert f"would remove files/{desk.old.sha256}/{desk.old.filename}" in shown.stderr
    assert own.is_dir()
    done = desk.mirror("--to", str(mirror), "--prune")
    assert "removed artifacts/g00000-python3.11.json" in done.stderr
    assert f"{mirror}/notes.txt: is not a mirror's; left" in done.stderr
    assert not own.exists()
    assert not (mirror / "simple" / "left-behind").exists()
    assert b"left-behind" not in (mirror / "simple" / "index.html").read_bytes()
    assert all(path.read_text() == "mine" for path in foreign)
    assert "has all" in desk.mirror("--to", str(mirror), "--check").stderr


def test_a_damaged_file_is_found_by_check_and_replaced_by_verify(desk: Desk) -> None:
    mirror = desk.folder / "mirror"
    desk.mirror("--to", str(mirror))
    (mirror / "files" / desk.large.sha256 / desk.large.filename).write_bytes(bytes(desk.large.size_bytes))
    found = desk.mirror("--to", str(mirror), "--check", exit_code=1)
    assert "is damaged" in found.stdout
    assert "--verify" in found.stderr
    assert "sent 1 blobs" in desk.mirror("--to", str(mirror), "--verify").stderr
    assert "has all" in desk.mirror("--to", str(mirror), "--check").stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("--to", "x", "--gen", "7"), 3, "there is no generation 7"),
        (("--to", "x", "--only", "python2*"), 3, "--only python2* matches nothing"),
        (("--to", "x", "--machine", "riscv64"), 3, "--machine riscv64"),
        (("--to", "https://x.example/y"), 2, "is not written to"),
        (("--to", "oci://x.example/Y"), 2, "is not a repository's name"),
        (("--to", "ftp://x"), 2, "is neither"),
        (("--to", "x", "--from", "nowhere"), 4, "nowhere: is not a folder"),
        (("--to", "x", "--only", "a", "--pool", "b"), 2, "contradict"),
        (("--to", "/dev/null/x"), 5, "/dev/null"),
    ],
)
def test_bad_input_is_one_message(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], exit_code: int, said: str
) -> None:
    monkeypatch.chdir(desk.folder)
    for name, value in desk.environment().items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(main, desk.arguments(*arguments))
    assert done.exit_code == exit_code, done.output
    assert said in done.output
    assert "Traceback" not in done.output


def test_generations_must_be_named() -> None:
    done = CliRunner().invoke(main, ["--to", "x", "--locks", "/"])
    assert done.exit_code == 2
    assert "--gen" in done.output


def test_a_check_without_reading_compares_sizes_only_and_says_what_would_be_sent(desk: Desk) -> None:
    folder = desk.folder / "mirror"
    desk.mirror("--to", str(folder))
    path = folder / "files" / desk.large.sha256 / desk.large.filename
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"\xff")
    assert "has all 4 locks" in desk.mirror("--to", str(folder), "--check", "--no-verify").stderr
    path.write_bytes(content[:-1])
    found = desk.mirror("--to", str(folder), "--check", "--no-verify", exit_code=1)
    assert f"is damaged: it has {len(content) - 1:,} bytes" in found.stdout
    assert "1 differences, 1 wheels of 3.0 MB to send" in found.stderr


def test_what_is_no_file_is_neither_waited_for_nor_kept(desk: Desk) -> None:
    folder = desk.folder / "mirror"
    desk.mirror("--to", str(folder))
    path = folder / "files" / desk.large.sha256 / desk.large.filename
    path.unlink()
    os.mkfifo(path)
    found = desk.mirror("--to", str(folder), "--check", exit_code=1)
    assert "cannot be read: is not a regular file" in found.stdout
    assert "sent 1 blobs" in desk.mirror("--to", str(folder)).stderr
    path.unlink()
    path.mkdir()
    assert "remove what is in its place" in desk.mirror("--to", str(folder), exit_code=5).stderr


def test_a_malformed_list_of_interpreters_is_a_difference_and_is_written_again(desk: Desk) -> None:
    folder, desk = desk.folder / "mirror", desk.for_python("3.12.12")
    desk.mirror("--gen", "0", "--to", str(folder))
    (folder / "interpreters").mkdir()
    (folder / "interpreters" / "index.json").write_text("{")
    found = desk.mirror("--gen", "0", "--to", str(folder), "--check", interpreters=True, exit_code=1)
    assert "interpreters/index.json: cannot be read" in found.stdout
    assert "is missing" in found.stdout


@pytest.mark.parametrize("location", ["http://a..b/x", "http://[zz/x", "http://127.0.0.1:9/\xe4"])
def test_a_server_that_redirects_to_what_is_not_a_url_is_one_message(desk: Desk, location: str) -> None:
    with scripted_server(lambda _: Answer(307, {"Location": location})) as server:
        done = desk.mirror(
            "--to", str(desk.folder / "mirror"), "--from", f"http://{server.host}/", exit_code=4
        )
    assert "redirects to what is not a URL; correct the server" in done.stderr
