"""Programs that run to their end."""

import os
import sys
from pathlib import Path

import pytest

from daemon.errors import MachineError
from daemon.host.child_process import run_to_its_end


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
