"""The start and the end of a call of uv, with a shell script as its program."""

import fcntl
import os
import signal
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from daemon.errors import IndexAccessError, MachineError, NotOnIndexError, ProgramKilledError
from daemon.prefix.prefix import Prefix
from daemon.prefix.uv_locks import TRIES
from daemon.uv import call_watch
from daemon.uv.program import Downloads, Uv, UvOutput, find_uv

_TIMED_OUT = "error: Timeout (5s) when waiting for lock on `cache` at `/x/.lock`"


def _uv(tmp_path: Path, script: str, **options: object) -> Uv:
    """Return uv with a shell script as its program."""
    prefix = Prefix(tmp_path / "prefix")
    prefix.make_directories()
    program = tmp_path / "uv"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Uv(program, prefix, **options)  # type: ignore[arg-type]


def test_a_call_without_network_gets_no_setting_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_INDEX_URL", "https://index.example/simple")
    monkeypatch.setenv("UV_HTTP_TIMEOUT", "7")
    uv = _uv(tmp_path, "env")
    variables = uv.run("pip", variables={"UV_CACHE_DIR": "/elsewhere"}).stdout.splitlines()
    assert {"UV_NO_CONFIG=1", "UV_CACHE_DIR=/elsewhere", "UV_LINK_MODE=hardlink"} <= set(variables)
    assert not [line for line in variables if line.startswith(("UV_INDEX_URL", "UV_HTTP_TIMEOUT"))]


def test_a_call_with_network_gets_what_reaches_an_index_and_the_callers_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_HTTP_TIMEOUT", "7")
    monkeypatch.setenv("NO_PROXY", "localhost")
    uv = _uv(
        tmp_path,
        'env; cat "$UV_CONFIG_FILE"',
        index_url="https://index.example/simple",
        proxy_variables={"HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": None},
        downloads=Downloads(concurrent=3, python_mirror="https://mirror.example"),
    )
    printed = uv.reach("pip").stdout
    for line in (
        "UV_HTTP_TIMEOUT=7", "HTTPS_PROXY=http://127.0.0.1:1", "UV_CONCURRENT_DOWNLOADS=3",
        "UV_PYTHON_INSTALL_MIRROR=https://mirror.example", 'url = "https://index.example/simple"',
    ):  # fmt: skip
        assert line in printed.splitlines()
    assert "NO_PROXY" not in printed


def test_a_failure_is_raised_with_what_uv_printed_to_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("wheels \n")
    uv = _uv(tmp_path, "echo 'error: No solution found when resolving' >&2; exit 1")
    with pytest.raises(NotOnIndexError, match="No solution found"):
        uv.reach("pip", log=log)
    assert log.read_text() == "wheels \nerror: No solution found when resolving\n"


def test_calls_that_run_can_be_ended_all_at_once(tmp_path: Path) -> None:
    uv = _uv(tmp_path, "exec sleep 3600")
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(uv.run, "pip")
        while not uv.running:
            time.sleep(0.01)
        uv.end_all()
        with pytest.raises(ProgramKilledError, match="SIGTERM"):
            call.result(300)


def test_a_pool_that_fails_ends_its_calls_and_starts_no_other(tmp_path: Path) -> None:
    uv = _uv(tmp_path, "exec sleep 3600")

    def fail_while_one_runs() -> None:
        with uv.pool(1) as pool:
            calls.extend(pool.submit(uv.run, "pip") for _ in range(2))
            while not uv.running:
                time.sleep(0.01)
            raise KeyboardInterrupt

    calls: list[Future[UvOutput]] = []
    with pytest.raises(KeyboardInterrupt):
        fail_while_one_runs()
    assert isinstance(calls[0].exception(300), ProgramKilledError)
    assert calls[1].cancelled()


def test_without_a_proxy_of_the_caller_the_machines_own_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://machine.example")
    uv = _uv(tmp_path, 'env; cat "$UV_CONFIG_FILE"')
    printed = uv.reach("pip", index_url="https://build.example/simple").stdout.splitlines()
    assert "HTTPS_PROXY=http://machine.example" in printed
    assert 'url = "https://build.example/simple"' in printed


def test_the_text_of_a_configuration_is_on_no_file_system(tmp_path: Path) -> None:
    uv = _uv(tmp_path, 'echo "$UV_CONFIG_FILE"; cat "$UV_CONFIG_FILE"')
    path, text = uv.run("pip", configuration="[[index]]").stdout.splitlines()
    assert path.startswith("/proc/self/fd/")
    assert text == "[[index]]"
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and b"[[index]]" in file.read_bytes()]


def test_a_call_that_waited_for_a_lock_is_repeated(tmp_path: Path) -> None:
    count = tmp_path / "count"
    script = f"echo x >> {count}; [ $(wc -l < {count}) -gt 1 ] || {{ echo '{_TIMED_OUT}' >&2; exit 2; }}"
    uv = _uv(tmp_path, script)
    uv.run("pip")
    assert count.read_text() == "x\nx\n"


def test_a_call_that_waits_for_a_lock_at_each_try_fails(tmp_path: Path) -> None:
    count = tmp_path / "count"
    uv = _uv(tmp_path, f"echo x >> {count}; echo '{_TIMED_OUT}' >&2; exit 2")
    with pytest.raises(IndexAccessError, match="waiting for lock"):
        uv.run("pip")
    assert count.read_text() == "x\n" * TRIES


def test_a_call_that_a_lease_holds_up_is_ended_and_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_watch, "_LOOK_S", 0.05)
    signal.signal(signal.SIGIO, signal.SIG_IGN)  # the kernel's request to give it up
    count, made = tmp_path / "count", tmp_path / "made"
    made.touch()
    uv = _uv(
        tmp_path, f"echo x >> {count}; [ $(wc -l < {count}) -gt 1 ] || exec sh -c ': > {made}; sleep 99'"
    )
    with made.open("rb") as model:
        fcntl.fcntl(model.fileno(), fcntl.F_SETLEASE, fcntl.F_RDLCK)
        uv.run("pip")
    assert count.read_text() == "x\nx\n"


def test_a_call_that_leases_hold_up_at_each_try_says_who_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_watch, "_LOOK_S", 0.01)
    monkeypatch.setattr(call_watch, "waits_for_a_lease", lambda _pid: True)
    with pytest.raises(MachineError, match=r"holds leases .* end it"):
        _uv(tmp_path, "exec sleep 99").run("pip")


def test_the_given_uv_is_used(tmp_path: Path) -> None:
    program = _uv(tmp_path, "").program
    assert find_uv(program) == program


@pytest.mark.parametrize("mode", [None, 0o644])
def test_a_given_uv_that_cannot_be_executed_is_named(tmp_path: Path, mode: int | None) -> None:
    if mode is not None:
        _uv(tmp_path, "").program.chmod(mode)
    with pytest.raises(MachineError, match="uv: is not an executable file; name uv's binary with --uv"):
        find_uv(tmp_path / "uv")


def test_without_a_given_uv_the_one_of_its_package_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert os.access(find_uv(None), os.X_OK)
    monkeypatch.setitem(sys.modules, "uv", None)
    with pytest.raises(MachineError, match=r"uv is not installed .*name its binary with --uv"):
        find_uv(None)
