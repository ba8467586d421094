"""Faults while a layer is made: it is complete, or as it was before."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from layers.lock import LayerLock, format_layer_lock
from tests.faults.mount import private_mounts, read_only, tmpfs
from tests.index.wheel import WheelSpec
from tests.layer.sample import lock_on_sample

KILLS = 12
MINE = WheelSpec(
    "mine", "1.0", files={"mine.py": b"import torch\n"} | {f"m{n}/__init__.py": b"V = 1\n" for n in range(40)}
)
OTHER = WheelSpec("other", "1.0", files={f"o{n}.py": b"V = 1\n" for n in range(40)})


def command(lock: LayerLock, folder: Path, to: Path) -> list[str]:
    """Return the command that makes a layer of wheels in a folder."""
    path = folder / "model.lock"
    path.write_text(format_layer_lock(lock))
    install = [sys.executable, "-m", "layers.main", "install", str(path), "--to", str(to)]
    return [*install, "--wheels", str(folder), "--offline"]


def files_of(folder: Path) -> Mapping[str, bytes]:
    """Return the content of all files below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
        if not path.is_symlink()
    }


def test_a_kill_at_any_time_leaves_the_former_layer_or_the_new_one(tmp_path: Path) -> None:
    """The last kills come at the times of the last steps, as far as one can say on a busy machine."""
    former, new = (lock_on_sample(tmp_path / name, spec) for name, spec in (("a", OTHER), ("b", MINE)))
    to = tmp_path / "place" / "venv"
    run_former, run_new = command(former, tmp_path / "a", to), command(new, tmp_path / "b", to)
    subprocess.run(run_new, check=True, capture_output=True)
    complete = files_of(to)
    began = time.monotonic()
    subprocess.run(run_former, check=True, capture_output=True)
    lasts_s = time.monotonic() - began
    before = files_of(to)
    seen = []
    for number in range(KILLS):
        process = subprocess.Popen(
            run_new, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            process.wait(lasts_s * (number + 1) / KILLS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        found = files_of(to)
        assert found in (before, complete)
        seen.append(process.returncode)
        if found == complete:
            subprocess.run(run_former, check=True, capture_output=True)

    subprocess.run(run_new, check=True, capture_output=True)

    assert -signal.SIGKILL in seen
    assert files_of(to) == complete
    assert [path.name for path in to.parent.iterdir()] == ["venv"]


def leftovers(place: Path) -> list[str]:
    """Return the names of folders that installations have made aside."""
    return [path.name for path in place.iterdir() if path.name != "venv"] if place.is_dir() else []


def started(install: list[str], place: Path) -> subprocess.Popen[bytes]:
    """Start an installation, and return when it has begun to write."""
    known = leftovers(place)
    process = subprocess.Popen(install, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while process.poll() is None and leftovers(place) == known:
        time.sleep(0.001)
    return process


def test_nobody_goes_on_writing_for_an_installation_that_was_killed_alone(tmp_path: Path) -> None:
    lock = lock_on_sample(tmp_path / "wheels", MINE)
    install = command(lock, tmp_path / "wheels", tmp_path / "place" / "venv")
    for number in range(KILLS // 2):
        process = started(install, tmp_path / "place")
        time.sleep(number / 20)  # in uv, or in the compilation
        process.kill()
        process.communicate()

        subprocess.run(install, check=True, capture_output=True)

        assert leftovers(tmp_path / "place") == []
        shutil.rmtree(tmp_path / "place" / "venv")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda it: it.name)
def test_a_signal_that_ends_an_installation_leaves_what_was_there(tmp_path: Path, number: int) -> None:
    former, new = (lock_on_sample(tmp_path / name, spec) for name, spec in (("a", OTHER), ("b", MINE)))
    place, temporary = tmp_path / "place", tmp_path / "temporary"
    temporary.mkdir()
    first = command(former, tmp_path / "a", place / "venv")
    install = ["env", f"TMPDIR={temporary}", *command(new, tmp_path / "b", place / "venv")]
    subprocess.run(first, check=True, capture_output=True)
    before = files_of(place)
    said = b""

    while b"Aborted!" not in said:  # it may have come to its end before the signal
        subprocess.run(first, check=True, capture_output=True)
        process = started(install, place)
        process.send_signal(number)
        said = process.communicate()[1]

    assert process.returncode == 1
    assert leftovers(place) == []
    assert files_of(place) == before
    assert list(temporary.glob("monobase-*")) == []


def test_a_folder_on_a_read_only_disk_is_named(tmp_path: Path) -> None:
    private_mounts()
    lock = lock_on_sample(tmp_path / "wheels", MINE)
    (tmp_path / "disk").mkdir()
    to = tmp_path / "disk" / "models" / "venv"
    with read_only(tmp_path / "disk"):
        install = command(lock, tmp_path / "wheels", to)

        refused = subprocess.run(install, capture_output=True, text=True, check=False)

    said = f"error: {to.parent}: Read-only file system; {to} was left as it was\n"
    assert (refused.returncode, refused.stderr) == (5, said)


def test_several_installations_at_once_make_one_layer(tmp_path: Path) -> None:
    locks = [lock_on_sample(tmp_path / name, spec) for name, spec in (("a", OTHER), ("b", MINE))]
    to = tmp_path / "place" / "venv"
    alone = []
    for name, lock in zip("ab", locks, strict=True):
        subprocess.run(command(lock, tmp_path / name, to), check=True, capture_output=True)
        alone.append(files_of(to))
    shutil.rmtree(to)
    processes = [
        subprocess.Popen(
            command(lock, tmp_path / name, to), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        for name, lock in [*zip("ab", locks, strict=True)] * 3
    ]

    said = [process.communicate()[1] for process in processes]

    assert [(process.returncode, text) for process, text in zip(processes, said, strict=True)] == [
        (0, b"")
    ] * 6
    assert files_of(to) in alone
    assert [path.name for path in to.parent.iterdir()] == ["venv"]


@pytest.mark.parametrize("size_kb", [4, 40, 120, 240, 340])
def test_a_full_disk_is_named_with_its_room_and_leaves_nothing(tmp_path: Path, size_kb: int) -> None:
    private_mounts()
    lock = lock_on_sample(tmp_path / "wheels", MINE)
    with tmpfs(tmp_path / "disk", size_bytes=size_kb * 1024) as disk:
        make = command(lock, tmp_path / "wheels", disk / "models" / "venv")

        refused = subprocess.run(make, capture_output=True, text=True, check=False)

        assert refused.returncode == 5, refused.stderr
        assert refused.stderr.startswith(f"error: {disk}/")
        assert "inodes are free)" in refused.stderr
        assert list(disk.iterdir()) == []


def test_a_full_disk_of_the_cache_of_uv_is_named_with_its_own_room(tmp_path: Path) -> None:
    private_mounts()
    lock = lock_on_sample(tmp_path / "wheels", MINE)
    make = command(lock, tmp_path / "wheels", tmp_path / "place" / "venv")
    with tmpfs(tmp_path / "disk", size_bytes=65536) as disk:
        variables = {**os.environ, "UV_CACHE_DIR": str(disk)}

        refused = subprocess.run(make, env=variables, capture_output=True, text=True, check=False)

    assert refused.returncode == 5, refused.stderr
    assert refused.stderr.startswith(f"error: {disk}/")
    assert re.search(r"the disk is full \([0-9,]{1,6} bytes and ", refused.stderr)
    assert not (tmp_path / "place").exists()
