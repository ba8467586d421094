"""The command line as a whole: its errors, its exit codes, and what a process starts with."""

import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daemon.cli import prune, status
from daemon.cli.main import main
from daemon.errors import DiskError
from gens.version import read_version

_PROGRAM = 'exec "$0" -m daemon.main'


def _shell(script: str, directory: Path) -> "subprocess.CompletedProcess[str]":
    """Run a script in which `$0` is Python."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])}
    return subprocess.run(
        ["/bin/sh", "-c", script, sys.executable],
        capture_output=True, text=True, check=False, env=environment, cwd=directory, timeout=60,
    )  # fmt: skip


def test_a_reader_that_has_seen_enough_is_not_an_error(tmp_path: Path) -> None:
    script = f"{{ sleep 0.3; {_PROGRAM} status --json --prefix {tmp_path}/p; }} | true"
    done = _shell(script, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_working_folder_that_was_removed_is_reported(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    done = _shell(f"cd gone && rmdir ../gone && {_PROGRAM} status --prefix {tmp_path}/p", tmp_path)
    assert done.returncode == 11
    assert done.stderr.startswith("error: the working folder of this process was removed")


def test_the_version_is_told_and_is_the_one_of_this_build(tmp_path: Path) -> None:
    done = _shell(f"{_PROGRAM} --version", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{read_version()}\n", "")


def test_closed_streams_are_opened(tmp_path: Path) -> None:
    done = _shell(f"{_PROGRAM} status --json --prefix {tmp_path}/p <&- 2>&-", tmp_path)
    assert done.returncode == 0
    assert '"generations": []' in done.stdout


def test_help_loads_no_module_of_a_command(tmp_path: Path) -> None:
    for arguments in ("--help", "run --help", "install --help"):
        done = _shell(f'exec "$0" -X importtime -m daemon.main {arguments}', tmp_path)
        assert done.returncode == 0
        assert "daemon.cli.settings" in done.stderr
        assert "daemon.install" not in done.stderr
        assert "daemon.upkeep" not in done.stderr


def _status(monkeypatch: pytest.MonkeyPatch, error: Exception) -> Result:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(status, "status", fail)
    return CliRunner().invoke(main, ["status"])


def test_an_error_of_monobase_is_one_line_and_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    done = _status(monkeypatch, DiskError("/srv: full of https://me:secret@host/\x1b"))
    assert done.exit_code == 5
    assert done.output == "error: /srv: full of https://host/\\x1b\n"


def test_what_the_system_refuses_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    done = _status(monkeypatch, OSError(28, "No space left on device", "/srv/x"))
    assert done.exit_code == 5
    assert done.output.startswith("error: /srv/x: ")


def test_any_other_exception_is_a_fault_of_monobase(monkeypatch: pytest.MonkeyPatch) -> None:
    done = _status(monkeypatch, ValueError("https://me:secret@host/"))
    assert done.exit_code == 70
    assert "Traceback" in done.output
    assert "secret" not in done.output
    assert done.output.endswith(
        "error: this is a fault of monobase itself; please report it with the lines above\n"
    )


def test_an_error_after_the_log_has_begun_has_the_form_of_the_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DiskError("full")

    monkeypatch.setattr(prune, "NodeCatalog", fail)
    done = CliRunner().invoke(
        main, ["prune", "--dry-run", "--min-gen-id=1", "--log-format=json", f"--prefix={tmp_path}"]
    )
    assert done.exit_code == 5
    assert '"level": "error", "message": "full"' in done.output


def test_a_program_without_a_command_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "daemon.cli.status", None)
    done = CliRunner().invoke(main, ["status"])
    assert done.exit_code == 2
    assert "this program is built without `status`" in done.output


def test_a_module_that_a_command_lacks_is_a_fault_of_monobase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "daemon.cli.status")
    monkeypatch.setitem(sys.modules, "daemon.upkeep.status", None)
    assert CliRunner().invoke(main, ["status"]).exit_code == 70


@pytest.mark.parametrize("name", sorted({*main.commands} - {"run"}))  # run_test.py
def test_each_command_has_a_function_in_a_module_of_its_name(name: str) -> None:
    function = getattr(importlib.import_module(f"daemon.cli.{name}"), name)
    (settings,) = inspect.signature(function).parameters.values()
    assert settings.annotation.__name__ == f"{name.capitalize()}Settings"
