"""Programs that run to their end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.errors import MachineError
from daemon.host.child_process import run_to_its_end, signal_name


def _python(code: str, given: bytes = b"") -> tuple[int, str, str]:
    ended = run_to_its_end(
        [sys.executable, "-c", code], environment=dict(os.environ), directory=Path("/"), given=given
    )
    return ended.code, ended.stdout, ended.stderr


def test_what_it_says_is_kept() -> None:
    code = "import sys; print(sys.stdin.read()); print('err', file=sys.stderr); sys.exit(3)"
    assert _python(code, given=b"given") == (3, "given\n", "err\n")


def test_of_very_much_the_first_and_the_last_is_kept() -> None:
    code = (
        "import sys\n"
        "sys.stderr.write('first\\n')\n"
        "for _ in range(50): sys.stderr.write('x' * 1_000_000)\n"
        "sys.stderr.write('\\nlast')"
    )
    _, _, said = _python(code)
    assert len(said) < 2_200_000
    assert said.startswith("first\n")
    assert said.endswith("\nlast")
    assert "bytes left out" in said


def test_a_program_that_reads_nothing_of_what_it_is_given_is_no_fault() -> None:
    assert _python("", given=b"x" * 1_000_000)[0] == 0


def test_others_may_read_what_it_makes_whatever_the_caller_s_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        _python(f"open({str(tmp_path / 'file')!r}, 'w')")
    finally:
        found = os.umask(before)
    assert found == 0o077
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_what_cannot_be_started_is_named(tmp_path: Path) -> None:
    (tmp_path / "garbage").write_bytes(b"\x7fELF no program at all")
    (tmp_path / "garbage").chmod(0o755)
    (tmp_path / "closed").touch(0o600)
    for name in ("garbage", "closed", "absent"):
        with pytest.raises(MachineError, match=f"{name}: cannot be started: "):
            run_to_its_end([str(tmp_path / name)], environment={}, directory=tmp_path)


def test_a_program_that_a_signal_ended_tells_which() -> None:
    code, _, _ = _python("import os; os.kill(os.getpid(), 15)")
    assert signal_name(code) == "SIGTERM"
    assert signal_name(-99) == "signal 99"


def test_what_it_says_goes_to_a_file_that_is_given(tmp_path: Path) -> None:
    told: list[bool] = []
    with (tmp_path / "said").open("wb") as said:
        ended = run_to_its_end(
            [sys.executable, "-c", "import sys; print('err', file=sys.stderr)"],
            environment=dict(os.environ),
            directory=tmp_path,
            stderr=said,
            running=lambda _, runs: told.append(runs),
        )
    assert (ended.code, ended.stderr) == (0, "")
    assert (tmp_path / "said").read_bytes() == b"err\n"
    assert told == [True, False]


def test_a_folder_that_is_not_there_is_no_fault_of_the_program(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run_to_its_end([sys.executable, "-c", ""], environment={}, directory=tmp_path / "nowhere")


def test_a_program_is_ended_when_whoever_waits_for_it_is_interrupted() -> None:
    started: list[subprocess.Popen[bytes]] = []

    def interrupt(process: "subprocess.Popen[bytes]", runs: bool) -> None:
        if runs:
            started.append(process)

    class Interrupted(BaseException):
        pass

    def wait(*_: object) -> None:
        raise Interrupted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("daemon.host.child_process._Output.join", wait)
        with pytest.raises(Interrupted):
            run_to_its_end(["sleep", "60"], environment={}, directory=Path("/"), running=interrupt)
    assert started[0].poll() == -signal.SIGKILL
