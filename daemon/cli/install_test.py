"""Tests of what `install` prints at its end, and of its exit code."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from daemon.cli import install as install_command
from daemon.cli.main import main
from daemon.errors import IndexAccessError, WheelContentError
from daemon.install.options import InstallOptions
from daemon.install.result import InstallResult
from daemon.prefix.prefix import Prefix
from daemon.report.progress import Reporter
from daemon.uv.least_rate import LeastRate
from gens.catalog import Catalog
from gens.errors import MonobaseError
from gens.selection import Selection
from tests.synthetic.catalog import PYTHON, environment_cell, write_catalog

_LABEL = f"g00000/python{PYTHON}"


@pytest.fixture
def gens(tmp_path: Path) -> Path:
    return write_catalog(tmp_path / "gens", {0: [environment_cell([])]})


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> list[InstallOptions]:
    return _installer(monkeypatch, InstallResult())


def _installer(monkeypatch: pytest.MonkeyPatch, result: InstallResult) -> list[InstallOptions]:
    """Replace installs by one with a result; return the list of their options."""
    received: list[InstallOptions] = []

    def install(
        _: Prefix, catalog: Catalog, uv: Path, options: InstallOptions, reporter: Reporter
    ) -> InstallResult:
        assert isinstance(catalog, Catalog)
        assert uv.name == "uv"
        for label, error in result.failures.items():
            reporter.error(str(error), target=label)
        received.append(options)
        return result

    monkeypatch.setattr("daemon.install.pipeline.install", install)
    monkeypatch.setattr(install_command, "find_uv", lambda _: Path("uv"))
    return received


def _install(tmp_path: Path, gens: Path, *arguments: str, **variables: Any) -> Result:  # noqa: ANN401
    command = ["install", "--prefix", str(tmp_path / "prefix"), "--gens", str(gens), *arguments]
    return CliRunner().invoke(main, command, env=variables)


def test_the_options_reach_the_install(tmp_path: Path, gens: Path, options: list[InstallOptions]) -> None:
    arguments = (
        "--min-gen-id 0 --max-gen-id 7 --only a* --only b --jobs 3 --copy --index-url http://i/simple "
        "--lock-timeout 5 --no-python-downloads --min-download-rate 2k --min-download-window 9"
    )
    assert _install(tmp_path, gens, *arguments.split()).exit_code == 0
    (found,) = options
    assert (found.min_gen_id, found.max_gen_id, found.selection) == (0, 7, Selection(("a*", "b")))
    assert (found.jobs, found.copy, found.downloads) == (3, True, False)
    assert (found.index_url, found.lock_timeout_s, found.proxy_url) == ("http://i/simple", 5.0, None)
    assert found.uv_downloads.least_rate == LeastRate(2000, 9.0)


def test_a_limit_of_downloads_is_a_proxy_while_the_install_runs(
    tmp_path: Path, gens: Path, options: list[InstallOptions]
) -> None:
    assert _install(tmp_path, gens, MONOBASE_MAX_DOWNLOAD_RATE="50M").exit_code == 0
    assert str(options[0].proxy_url).partition("@")[2].startswith("127.0.0.1:")


def test_the_sources_of_a_variable_are_separated_by_blanks(
    tmp_path: Path, gens: Path, options: list[InstallOptions]
) -> None:
    done = _install(tmp_path, gens, MONOBASE_SOURCES="file:///a https://b.example/c  index file:///d")
    assert done.exit_code == 0
    sources = options[0].sources
    assert sources is not None
    names = [None if way is None else [source.name for source in way] for way in sources.ways]
    assert names == [["file:///a", "https://b.example/c/"], None, ["file:///d"]]
    first, last = options[0].uv_downloads.python_ways
    assert first is not None
    assert first.variables["UV_PYTHON_INSTALL_MIRROR"] == "http://wheels.monobase.internal/interpreters"
    assert last is None


def test_without_a_source_no_server_runs(tmp_path: Path, gens: Path, options: list[InstallOptions]) -> None:
    assert _install(tmp_path, gens, "--source", "index").exit_code == 0
    assert _install(tmp_path, gens).exit_code == 0
    assert [found.sources for found in options] == [None, None]


def test_peers_without_a_source_that_they_could_go_to_are_warned_of(
    tmp_path: Path, gens: Path, options: list[InstallOptions]
) -> None:
    peers = ("--p2p", "http://10.0.0.7:4001")
    assert "--p2p: is not used" in _install(tmp_path, gens, *peers, "--source", "file:///a").stderr
    assert (
        "--p2p: is not used" not in _install(tmp_path, gens, *peers, "--source", "oci://b.example/c").stderr
    )
    assert len(options) == 2


def test_logins_that_cannot_be_read_have_a_code_of_their_own(
    tmp_path: Path, gens: Path, options: list[InstallOptions]
) -> None:
    (tmp_path / "config.json").write_text("{")
    login = ("--registry-config", str(tmp_path / "config.json"))
    done = _install(tmp_path, gens, "--source", "oci://b.example/c", *login)
    assert done.exit_code == 9
    assert f"{tmp_path}/config.json: is not JSON" in done.stderr
    assert options == []


def test_how_to_use_what_is_new_is_printed_for_people_only(
    tmp_path: Path, gens: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _installer(monkeypatch, InstallResult(installed=[_LABEL], sealed=["g00000"], latest="g00000"))
    done = _install(tmp_path, gens)
    assert done.exit_code == 0
    assert "done 1 installed, sealed g00000" in done.stderr
    assert f"To use {_LABEL} here" in done.stdout
    assert _install(tmp_path, gens, "--log-format=json").stdout == ""


def test_an_install_with_nothing_to_do_says_how_to_use_what_is_there(
    tmp_path: Path, gens: Path, options: list[InstallOptions]
) -> None:
    assert _install(tmp_path, gens).stdout == ""  # there is nothing
    (tmp_path / "prefix" / "monobase" / _LABEL).mkdir(parents=True)
    assert f"To use {_LABEL} here" in _install(tmp_path, gens).stdout
    assert len(options) == 2


def _failing(*labels: str) -> dict[str, MonobaseError]:
    errors = (WheelContentError("another wheel"), IndexAccessError("lost"))
    return dict(zip(labels, errors, strict=False))


def test_a_single_failure_is_explained_once(
    tmp_path: Path, gens: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _installer(monkeypatch, InstallResult(failures=_failing(_LABEL)))
    done = _install(tmp_path, gens)
    assert done.exit_code == 7
    assert done.stderr.count("another wheel") == 1
    assert done.stderr.endswith(f"error: 1 could not be installed: {_LABEL}\n")
    assert done.stdout == ""


def test_of_several_failures_the_first_gives_the_exit_code(
    tmp_path: Path, gens: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _installer(monkeypatch, InstallResult(failures=_failing(_LABEL, "g00000/cuda12.4")))
    done = _install(tmp_path, gens)
    assert done.exit_code == 7
    assert done.stderr.endswith(f"error: 2 could not be installed, the first: {_LABEL}: another wheel\n")
