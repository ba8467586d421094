import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from runtime.sample_prefix import PYTHON, SITE_PACKAGES, SamplePrefix
from runtime.shells import EXEC
from runtime.user_venv.errors import PreparationError
from runtime.user_venv.mark import is_prepared
from runtime.user_venv.preparation import prepare
from runtime.user_venv.sample_venv import WHERE, assert_whole, variables_of

pytest_plugins = ["runtime.fixtures"]


def start(prefix: SamplePrefix, venv: Path, code: str, **variables: str) -> subprocess.Popen[str]:
    variables |= {"HOME": "/nonexistent", "MONOBASE_LOG_LEVEL": "error"}
    return subprocess.Popen(
        [str(EXEC), "python", "-c", code],
        env=variables_of(prefix, venv, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_of_first_starts_at_once_one_prepares_and_all_succeed(
    prefix: SamplePrefix, base: Path, venv: Path
) -> None:
    starts = [start(prefix, venv, WHERE, TORCH_VERSION="2.4.1") for _ in range(4)]

    ended = [(*process.communicate(timeout=120), process.returncode) for process in starts]

    assert ended == [(f"1.0 2.4.1 {venv}\n", "", 0)] * 4
    assert_whole(venv, base)


def test_starts_of_two_environments_on_one_venv_see_each_its_own(prefix: SamplePrefix, venv: Path) -> None:
    code = "import torch; print(torch.__version__)"
    starts = [
        start(prefix, venv, code, TORCH_VERSION=torch, CUDA_VERSION=cuda)
        for torch, cuda in [("2.4.1", "12.4"), ("2.5.1", "12.1")] * 2
    ]

    ended = [(*process.communicate(timeout=120), process.returncode) for process in starts]

    assert ended == [("2.4.1\n", "", 0), ("2.5.1\n", "", 0)] * 2
    (marked,) = [
        name
        for name in ("torch2.4.1-cu124", "torch2.5.1-cu121")
        if is_prepared(venv, prefix.root / "monobase" / "g00002" / f"python{PYTHON}-{name}")
    ]
    copies = [path.name for path in (venv / SITE_PACKAGES).glob("torch-*.dist-info")]
    assert copies == [f"torch-{marked[5:10]}.dist-info"]


def test_a_folder_that_somebody_keeps_locked_is_told(
    base: Path, venv: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    venv.mkdir()
    descriptor = os.open(venv, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)

    with pytest.raises(PreparationError, match="another process has held its lock for 0 s"):
        prepare(venv, base, lock_wait_s=0.2)

    assert "another start prepares" in capfd.readouterr().err
    os.close(descriptor)
    prepare(venv, base, lock_wait_s=0)
    assert_whole(venv, base)


def test_a_file_system_without_locks_is_no_hindrance(
    base: Path, venv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)

    prepare(venv, base)

    assert_whole(venv, base)
