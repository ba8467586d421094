"""`run` on the command line: what the service gets, and how the process ends."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daemon.cli import run as run_command
from daemon.cli.main import main
from daemon.errors import DiskError
from daemon.service.context import ServiceContext
from daemon.service.loop import Loop
from tests.synthetic.catalog import environment_cell, write_catalog


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> list[ServiceContext]:
    """The services that were made; their loop only waits, and the process goes on at its end."""
    made: list[ServiceContext] = []

    def wait(context: ServiceContext) -> None:
        made.append(context)
        os.kill(os.getpid(), signal.SIGTERM)
        context.stop.wait(60)

    _loop(monkeypatch, wait)
    return made


@pytest.fixture(autouse=True)
def _signals() -> object:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield None
    for number, handler in before.items():
        signal.signal(number, handler)


def _loop(monkeypatch: pytest.MonkeyPatch, run: Callable[[ServiceContext], None]) -> None:
    monkeypatch.setattr(Loop, "run", lambda loop: run(loop._context))
    monkeypatch.setattr(run_command, "find_uv", lambda _: Path("uv"))
    monkeypatch.setattr(run_command, "_GRACE_S", 0.5)

    def end(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr("os._exit", end)


def _run(tmp_path: Path, *arguments: str) -> Result:
    gens = write_catalog(tmp_path / "gens", {0: [environment_cell([])]})
    command = ["run", f"--prefix={tmp_path / 'prefix'}", f"--gens={gens}", *arguments]
    return CliRunner().invoke(main, command)


def test_the_settings_reach_the_service(tmp_path: Path, services: list[ServiceContext]) -> None:
    arguments = (
        "--listen off --min-gen-id 0 --prune-old-gen --clean-uv-cache --no-repair --check-interval 1 "
        "--scan-interval 2 --verify-interval 0 --retry-delay 3 --max-retry-delay 4 --concurrent-downloads 5 "
        "--python-mirror http://m/ --jobs 6 --prefetch record "
        "--compile-cache /var/a --compile-cache /var/b --compile-cache-size 3G"
    )
    done = _run(tmp_path, *arguments.split(), f"--features-dir={tmp_path}")
    assert (done.exit_code, done.stderr) == (0, "ended\n")
    options = services[0].options
    assert (options.prune_old_gen, options.clean_uv_cache, options.repair) == (True, True, False)
    assert (options.features_directory, options.prefetch) == (tmp_path, "record")
    assert options.compile_caches == (Path("/var/a"), Path("/var/b"))
    assert options.compile_cache_size.text == "3G"
    assert (options.check_interval_s, options.scan_interval_s, options.verify_interval_s) == (1.0, 2.0, 0.0)
    assert (options.retry_delay_s, options.max_retry_delay_s) == (3.0, 4.0)
    assert (options.install.min_gen_id, options.install.jobs) == (0, 6)
    downloads = options.install.uv_downloads
    assert (downloads.concurrent, downloads.python_mirror) == (5, "http://m/")


def test_the_address_is_told_once_it_is_listened_at(tmp_path: Path, services: list[ServiceContext]) -> None:
    done = _run(tmp_path, "--listen", "127.0.0.1:0")
    assert done.exit_code == 0
    assert done.stderr.startswith("listening address 127.0.0.1:")
    assert len(services) == 1


@pytest.mark.parametrize("address", ["", "8080", "host:99999"])
def test_an_address_that_is_none_is_wrong_usage(tmp_path: Path, address: str) -> None:
    done = _run(tmp_path, "--listen", address)
    assert done.exit_code == 2
    assert "--listen: " in done.output


def test_what_ends_the_loop_is_the_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: ServiceContext) -> None:
        raise DiskError("gone")

    _loop(monkeypatch, fail)
    done = _run(tmp_path, "--listen", "off")
    assert (done.exit_code, done.stderr) == (5, "error: gone\n")


def test_an_install_that_goes_on_does_not_keep_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = threading.Event()

    def hang(context: ServiceContext) -> None:
        context.state.activity = "installing g00000"
        os.kill(os.getpid(), signal.SIGTERM)
        held.wait(60)

    _loop(monkeypatch, hang)
    done = _run(tmp_path, "--listen", "off")
    held.set()
    assert done.exit_code == 0
    assert done.stderr == "ended while installing g00000; the next start goes on there\n"
