"""Tests of the settings of `shell`: its prefix, its folder, and what belongs to the command."""

from pathlib import Path

import pytest

from daemon.cli.main import main
from daemon.cli.shell_settings import default_prefix, enter_working_directory
from daemon.errors import MachineError


@pytest.mark.parametrize("data", ["", "relative"])
def test_the_prefix_is_in_the_users_home(monkeypatch: pytest.MonkeyPatch, data: str) -> None:
    monkeypatch.setenv("HOME", "/home/u")
    monkeypatch.setenv("XDG_DATA_HOME", data)
    assert default_prefix() == Path("/home/u/.local/share/monobase")


def test_the_prefix_follows_the_users_folder_of_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data/u")
    assert default_prefix() == Path("/data/u/monobase")


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr("os.getuid", lambda: 2**31 - 7)  # which no user database has
    with pytest.raises(MachineError, match="has no home folder on this machine; set HOME, or XDG_DATA_HOME"):
        default_prefix()


def test_the_working_folder_is_that_of_bazel_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path)
    enter_working_directory({})
    assert Path.cwd() == tmp_path
    enter_working_directory({"BUILD_WORKING_DIRECTORY": str(tmp_path / "there")})
    assert Path.cwd() == tmp_path / "there"
    with pytest.raises(MachineError, match=r"gone: the working folder cannot be entered"):
        enter_working_directory({"BUILD_WORKING_DIRECTORY": str(tmp_path / "gone")})


@pytest.mark.parametrize(
    "words", [["python", "-c", "x", "--env", "y"], ["--", "python", "-c", "x", "--env", "y"]]
)
def test_options_behind_the_command_are_the_commands(words: list[str]) -> None:
    command = main.commands["shell"]
    context = command.make_context("shell", ["--env", "torch2.13", *words])
    assert context.params["env"] == "torch2.13"
    assert context.params["command"] == ("python", "-c", "x", "--env", "y")
