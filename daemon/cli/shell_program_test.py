"""Tests of the program that `shell` becomes."""

import os
from pathlib import Path

import pytest

from daemon.cli import shell_program
from daemon.cli.shell_program import program, users_shell
from daemon.cli.shell_variables import DECIDING
from daemon.errors import MachineError


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "exec").touch()
    monkeypatch.setattr(shell_program, "_RUNTIME", tmp_path)
    return tmp_path


def _executable(path: Path) -> str:
    path.touch()
    path.chmod(0o755)
    return str(path)


def test_a_command_is_that_of_the_runtimes_entrypoint(runtime: Path) -> None:
    found = program(["python", "-c", ""], "x", {"A": "b"})
    assert found.command == ["/bin/sh", f"{runtime}/exec", "python", "-c", ""]
    assert found.variables == {"A": "b"}


def test_a_program_without_the_runtimes_files_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell_program, "_RUNTIME", tmp_path / "none")
    with pytest.raises(MachineError, match=r"none/exec: not found: .*use `bazel run //daemon -- shell`"):
        program(["true"], "x", {})


def test_the_users_shell_is_taken_if_it_is_installed(tmp_path: Path) -> None:
    own = _executable(tmp_path / "myshell")
    assert users_shell({"SHELL": own}) == own
    assert users_shell({"SHELL": "/nowhere/fish"}) != "/nowhere/fish"
    assert users_shell({"SHELL": "/usr/sbin/nologin"}) != "/usr/sbin/nologin"
    assert Path(users_shell({})).exists()


def test_a_shell_other_than_bash_is_started_as_it_is(runtime: Path, tmp_path: Path) -> None:
    own = _executable(tmp_path / "fish")
    found = program([], "x", {"SHELL": own})
    assert found.command == ["/bin/sh", f"{runtime}/exec", own]
    assert found.variables == {"SHELL": own}


def test_a_bash_activates_again_behind_the_users_own_file(runtime: Path, tmp_path: Path) -> None:
    own = _executable(tmp_path / "bash")
    found = program([], "g00002/python3.12", {"SHELL": own, "MONOBASE_GEN_ID": "2"})
    *start, option, file, interactive = found.command
    assert start == ["/bin/sh", f"{runtime}/exec", own]
    assert (option, interactive) == ("--rcfile", "-i")
    descriptor = int(Path(file).name)
    try:
        assert os.get_inheritable(descriptor)
        assert descriptor > 9  # the lease of the runtime
        assert Path(file).read_text().splitlines() == [
            f"exec {descriptor}<&-",
            "[ ! -r ~/.bashrc ] || . ~/.bashrc",
            f"unset {' '.join(DECIDING)}; export MONOBASE_GEN_ID=2",
            "_monobase_level=${MONOBASE_LOG_LEVEL-warning} MONOBASE_LOG_LEVEL=error",
            f"builtin . {runtime}/activate.sh",
            "MONOBASE_LOG_LEVEL=$_monobase_level",
            "unset _monobase_level",
            "PS1='(g00002/python3.12) '${PS1-}",
        ]
    finally:
        os.close(descriptor)


def test_a_zsh_reads_files_that_read_the_users_own_first(runtime: Path, tmp_path: Path) -> None:
    own = _executable(tmp_path / "zsh")
    found = program([], "x", {"SHELL": own, "ZDOTDIR": "/home/u/zsh"})
    assert found.command == ["/bin/sh", f"{runtime}/exec", own, "-i"]
    assert {".zshenv", ".zshrc"} <= {path.name for path in Path(found.variables["ZDOTDIR"]).iterdir()}
    assert found.variables["MONOBASE_SHELL_ZDOTDIR"] == "/home/u/zsh"
