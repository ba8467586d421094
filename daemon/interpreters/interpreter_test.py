"""The choice of interpreters; the uv of these tests is a script that does what uv does to the disk."""

import platform
import sys
from pathlib import Path

import pytest

from daemon.errors import IndexUrlError
from daemon.interpreters.interpreter import provide_interpreters
from daemon.interpreters.running_interpreter import describe
from daemon.prefix.prefix import Prefix
from daemon.uv.program import Uv

_VERSION = platform.python_version()
_MINOR = ".".join(_VERSION.split(".")[:2])


def _uv(tmp_path: Path, install: str) -> Uv:
    program = tmp_path / "uv"
    log = tmp_path / "calls"
    choice = f'case "$*" in *install*) {install} ;; *) exit 2 ;; esac'
    program.write_text(f'#!/bin/sh\necho "$*" >> "{log}"\n{choice}\n')
    program.chmod(0o755)
    prefix = Prefix(tmp_path / "prefix")
    prefix.make_directories()
    return Uv(program, prefix)


def _managed() -> str:
    directory = f'"$UV_PYTHON_INSTALL_DIR/cpython-{_VERSION}-linux-x86_64-gnu/bin"'
    return f'mkdir -p {directory} && ln -sf "{sys.executable}" {directory}/python{_MINOR}'


def _calls(tmp_path: Path) -> list[str]:
    path = tmp_path / "calls"
    return path.read_text().splitlines() if path.exists() else []


def test_a_managed_interpreter_is_installed_once(tmp_path: Path) -> None:
    uv = _uv(tmp_path, _managed())
    warnings: list[str] = []
    for _ in range(2):
        found, failures = provide_interpreters(uv, [_VERSION], downloads=True, warn=warnings.append)
        assert found[_VERSION].managed
        assert found[_VERSION].executable.is_relative_to(uv.prefix.uv_python)
        assert not failures
    assert _calls(tmp_path) == [f"python install {_VERSION}"]
    assert not warnings


def test_a_malformed_index_is_said_to_be_so_and_is_no_lack_of_an_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://me:p/w@127.0.0.1:9/simple")
    found, failures = provide_interpreters(
        _uv(tmp_path, _managed()), [_VERSION], downloads=True, warn=lambda _: None
    )
    assert not found
    assert isinstance(failures[_VERSION], IndexUrlError)


def test_one_whose_install_was_interrupted_is_installed_anew(tmp_path: Path) -> None:
    uv = _uv(tmp_path, _managed())
    (uv.prefix.uv_python / f"cpython-{_VERSION}-linux-x86_64-gnu" / "bin").mkdir(parents=True)
    provide_interpreters(uv, [_VERSION], downloads=True, warn=lambda _: None)
    assert _calls(tmp_path) == [f"python install {_VERSION}"]
    assert provide_interpreters(uv, [_VERSION], downloads=False, warn=lambda _: None)[0][_VERSION].managed


def test_a_system_interpreter_stands_in_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{Path(sys.base_prefix) / 'bin'}:/usr/bin:/bin")
    uv = _uv(tmp_path, "echo 'error: no route to host' >&2; exit 1")
    warnings: list[str] = []
    found, _ = provide_interpreters(uv, [f"{_MINOR}.99"], downloads=True, warn=warnings.append)
    assert not found[f"{_MINOR}.99"].managed
    assert found[f"{_MINOR}.99"].minor == _MINOR
    assert "no route to host" in warnings[0]
    assert found[f"{_MINOR}.99"].version in warnings[0]


def test_an_unreachable_host_is_not_waited_for_twice_and_the_words_are_honest(tmp_path: Path) -> None:
    uv = _uv(tmp_path, "echo 'error: client error (Connect)' >&2; exit 1")
    _, failures = provide_interpreters(uv, ["3.98.1", "3.99.1"], downloads=True, warn=lambda _: None)
    assert sorted(failures) == ["3.98.1", "3.99.1"]
    assert len([call for call in _calls(tmp_path) if "install" in call]) == 1
    assert "not tried, as no host answered for Python 3.98.1" in str(failures["3.99.1"])
    assert "there is no Python 3.99.1" in str(failures["3.99.1"])


def test_one_that_is_not_there_does_not_keep_the_next_from_being_tried(tmp_path: Path) -> None:
    uv = _uv(tmp_path, "echo 'error: HTTP status client error (404 Not Found)' >&2; exit 1")
    _, failures = provide_interpreters(uv, ["3.98.1", "3.99.1"], downloads=True, warn=lambda _: None)
    assert [call for call in _calls(tmp_path) if "install" in call] == [
        "python install 3.98.1", "python install 3.99.1",
    ]  # fmt: skip
    assert "3.98" not in str(failures["3.99.1"])


def test_a_list_of_ones_own_may_name_several_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS_JSON_URL", "file:///list.json")
    uv = _uv(tmp_path, "echo 'error: client error (Connect)' >&2; exit 1")
    provide_interpreters(uv, ["3.98.1", "3.99.1"], downloads=True, warn=lambda _: None)
    assert len([call for call in _calls(tmp_path) if "install" in call]) == 2


def test_a_stand_in_that_does_not_run_is_the_failure_of_its_version_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv = _uv(tmp_path, _managed())
    broken = tmp_path / "bin" / "python3.99"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho '[]'\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken.parent}:/usr/bin:/bin")
    uv.program.write_text(uv.program.read_text().replace("exit 2", f"echo {broken}"))
    found, failures = provide_interpreters(uv, ["3.99.1", _VERSION], downloads=True, warn=lambda _: None)
    assert list(found) == [_VERSION]
    assert list(failures) == ["3.99.1"]


def test_downloads_can_be_switched_off(tmp_path: Path) -> None:
    uv = _uv(tmp_path, _managed())
    _, failures = provide_interpreters(uv, ["3.99.1"], downloads=False, warn=lambda _: None)
    assert "downloads are switched off" in str(failures["3.99.1"])
    assert not [call for call in _calls(tmp_path) if "install" in call]


def test_bytecode_is_kept_by_patch_release() -> None:
    interpreter = describe(Path(sys.executable), managed=False)
    assert interpreter.bytecode_key == f"{sys.implementation.cache_tag}-{_VERSION}"
