"""The command line of the daemon: `install`, `verify`, `status`, and those of the service beside it."""

import os
import re
import shlex
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

import click

from daemon.cli.options import (
    check_range,
    copy_option,
    gens_option,
    index_url_option,
    jobs_option,
    least_rate,
    lock_timeout_option,
    log_format_option,
    max_download_rate_option,
    max_gen_id_option,
    min_download_rate_option,
    min_download_window_option,
    min_gen_id_option,
    option,
    prefix_option,
    python_downloads_option,
    uv_option,
)
from daemon.cli.service_commands import SERVICE_COMMANDS
from daemon.errors import MachineError
from daemon.host.system_error import explain
from daemon.prefix.prefix import Prefix, prefix_at
from daemon.report.redaction import redact
from daemon.report.shown_text import json_document, visible
from gens.command import version_option
from gens.errors import MonobaseError


class _Cli(click.Group):
    """A group that shows our errors, once, and exits with their codes."""

    def main(self, *arguments: Any, **settings: Any) -> Any:  # noqa: ANN401 (click's own type)
        """Begin, with something behind each of the standard streams."""
        _open_standard_streams()
        return super().main(*arguments, **settings)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 (click's own type)
        """Run the command."""
        try:
            _check_working_folder()
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()  # here, where somebody who reads no more is nobody's fault
        except MonobaseError as error:
            self._show(ctx, error)
        except (
            click.ClickException, click.exceptions.Exit, click.Abort, KeyboardInterrupt, BrokenPipeError,
        ):  # fmt: skip
            raise
        except Exception as error:
            told = explain(error, Path(getattr(error, "filename", None) or "."))
            if told is not None:
                self._show(ctx, told)
            click.echo(redact(traceback.format_exc()), err=True, nl=False)
            click.echo(
                "error: this is a fault of monobase itself; please report it with the lines above", err=True
            )
            ctx.exit(70)

    def _show(self, ctx: click.Context, error: MonobaseError) -> NoReturn:
        if ctx.obj is None:
            click.echo("error: " + visible(redact(str(error)), keep="\n\t"), err=True)
        else:
            ctx.obj.error(str(error))
        ctx.exit(error.exit_code)


def _open_standard_streams() -> None:
    """Open what is closed: a lock or a file of the prefix would get its number, and be written to by uv."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 (for the whole process)
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _check_working_folder() -> None:
    try:
        os.getcwd()  # noqa: PTH109 (whether there is one)
    except FileNotFoundError as error:
        raise MachineError(
            "the working folder of this process was removed, and uv does not run there; go to another one"
        ) from error


@click.group(cls=_Cli, params=[version_option()])
def main() -> None:
    """Install generations of environments under one prefix of a node."""


@main.command()
@prefix_option
@min_gen_id_option
@max_gen_id_option
@option(
    "--only", multiple=True, metavar="PATTERN", help="Names of environments and toolkits; may be repeated."
)
@jobs_option
@copy_option
@index_url_option
@max_download_rate_option
@min_download_rate_option
@min_download_window_option
@python_downloads_option
@lock_timeout_option
@gens_option
@uv_option
@log_format_option
def install(
    prefix: Path,
    min_gen_id: int | None,
    max_gen_id: int | None,
    only: tuple[str, ...],
    jobs: int,
    copy: bool,
    index_url: str | None,
    max_download_rate: int | None,
    min_download_rate: int,
    min_download_window: float,
    python_downloads: bool,
    lock_timeout: float | None,
    gens: Path | None,
    uv: Path | None,
    log_format: str,
) -> None:
    """Install what is missing of the active generations, and seal those that are complete."""
    from daemon.download_limit.limiting_proxy import limit_downloads  # noqa: PLC0415
    from daemon.install.pipeline import InstallOptions  # noqa: PLC0415 (`--help` should not load the stages)
    from daemon.install.pipeline import install as run_install  # noqa: PLC0415
    from daemon.report.progress import Reporter  # noqa: PLC0415
    from daemon.uv.program import Downloads, find_uv  # noqa: PLC0415
    from gens.catalog import load_catalog  # noqa: PLC0415

    check_range(min_gen_id, max_gen_id)
    reporter = Reporter(log_format="json" if log_format == "json" else "text")
    click.get_current_context().find_root().obj = reporter  # errors are shown as it shows all else
    place = prefix_at(prefix)
    with limit_downloads(max_download_rate, os.environ, reporter.warning) as proxy_url:
        options = InstallOptions(
            min_gen_id,
            max_gen_id,
            only,
            jobs,
            copy,
            python_downloads,
            index_url,
            lock_timeout,
            proxy_url,
            uv_downloads=Downloads(
                least_rate=least_rate(min_download_rate, min_download_window, max_download_rate)
            ),
        )
        result = run_install(place, load_catalog(gens, keep_broken=True), find_uv(uv), options, reporter)
    reporter.info(
        "done",
        installed=len(result.installed),
        sealed=result.sealed,
        partial=result.partial,
        fetched_bytes=result.fetched_bytes,
        seconds=result.seconds,
    )
    if log_format == "text":
        _say_how_to_use(place, result.installed)
    if result.failures:
        label, error = next(iter(result.failures.items()))
        reporter.error(f"{len(result.failures)} could not be installed, the first: {label}: {error}")
        sys.exit(error.exit_code)


@main.command()
@prefix_option
@option("--gen", type=click.IntRange(min=0), multiple=True, help="Only this generation; may be repeated.")
@option("--repair", is_flag=True, help="Restore what is damaged, from the prefix, the cache or the index.")
@click.option("--json", "as_json", is_flag=True, help="All differences, for machines, on standard output.")
@jobs_option
@copy_option
@index_url_option
@max_download_rate_option
@min_download_rate_option
@min_download_window_option
@python_downloads_option
@lock_timeout_option
@gens_option
@uv_option
@log_format_option
def verify(
    prefix: Path,
    gen: tuple[int, ...],
    repair: bool,
    as_json: bool,
    jobs: int,
    copy: bool,
    index_url: str | None,
    max_download_rate: int | None,
    min_download_rate: int,
    min_download_window: float,
    python_downloads: bool,
    lock_timeout: float | None,
    gens: Path | None,
    uv: Path | None,
    log_format: str,
) -> None:
    """Compare every installed file with the manifests that sealing wrote; exit with 1 when they differ."""
    from daemon.cli.verify_report import check_names, end_verify  # noqa: PLC0415
    from daemon.report.progress import Reporter  # noqa: PLC0415 (`--help` should not load the stages)
    from daemon.upkeep.verify import VerifyResult  # noqa: PLC0415
    from daemon.upkeep.verify import verify as run_verify  # noqa: PLC0415
    from gens.generation import generation_directory_name  # noqa: PLC0415

    place = prefix_at(prefix)
    reporter = Reporter(log_format="json" if log_format == "json" else "text")
    click.get_current_context().find_root().obj = reporter  # errors are shown as it shows all else
    names = [generation_directory_name(number) for number in gen] or place.installed_generations()
    check_names(place, names)
    result: VerifyResult
    failures = None
    if repair:
        from daemon.download_limit.limiting_proxy import limit_downloads  # noqa: PLC0415
        from daemon.install.pipeline import InstallOptions  # noqa: PLC0415
        from daemon.upkeep.repair import repair as run_repair  # noqa: PLC0415
        from daemon.uv.program import Downloads, find_uv  # noqa: PLC0415
        from gens.catalog import load_catalog  # noqa: PLC0415

        with limit_downloads(max_download_rate, os.environ, reporter.warning) as proxy_url:
            options = InstallOptions(
                jobs=jobs, copy=copy, index_url=index_url, downloads=python_downloads,
                lock_timeout_s=lock_timeout, proxy_url=proxy_url,
                uv_downloads=Downloads(
                    least_rate=least_rate(min_download_rate, min_download_window, max_download_rate)
                ),
            )  # fmt: skip
            catalog = load_catalog(gens, keep_broken=True)
            result = run_repair(place, catalog, find_uv(uv), names, options, reporter, stores=not gen)
        failures = result.failures
    else:
        result = run_verify(place, names, jobs, stores=not gen)
    end_verify(place, names, result, failures, reporter, as_json=as_json)


@main.command()
@prefix_option
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def status(prefix: Path, as_json: bool) -> None:
    """Show what stands on the prefix, and what sharing saves."""
    from daemon.upkeep.status import read_status  # noqa: PLC0415 (`--help` should not load the stages)

    found = read_status(prefix_at(prefix))
    if as_json:
        click.echo(json_document(found, indent=2).decode())
    else:
        from daemon.cli.status_table import print_status  # noqa: PLC0415

        print_status(found)


def _say_how_to_use(prefix: Prefix, installed: list[str]) -> None:
    """Tell how the richest of the new environments is used, on standard output."""
    environments = [label for label in installed if "/python" in label]
    if not environments:
        return
    label = max(environments, key=lambda label: ("-torch" in label, label))
    generation, _, name = label.partition("/")
    folder = prefix.generation(generation) / name
    statement = (
        "import torch; print(torch.ones(2) + 1)" if "-torch" in name else "import sys; print(sys.version)"
    )
    click.echo(
        f"\nTo use {label} here:\n"
        f"  {shlex.quote(str(folder / 'bin' / 'python'))} -c {shlex.quote(statement)}\n"
        f"In a container, mount {prefix.root} read-only at the same path and let runtime/exec activate it:\n"
        f"  MONOBASE_PREFIX={shlex.quote(str(prefix.root))} MONOBASE_GEN_ID={int(generation[1:])} "
        f"{_variables(name)}"
    )


def _variables(name: str) -> str:
    found = re.fullmatch(r"python(?P<python>[^-]+)(?:-torch(?P<torch>[^-]+)-(?P<build>.+))?", name)
    if found is None or found["torch"] is None:
        return f"PYTHON_VERSION={name.removeprefix('python')}"
    cuda = re.fullmatch(r"cu(?P<major>[0-9]+)(?P<minor>[0-9])", found["build"])
    asked = f" CUDA_VERSION={cuda['major']}.{cuda['minor']}" if cuda is not None else ""
    return f"PYTHON_VERSION={found['python']} TORCH_VERSION={found['torch']}{asked}"


for command in SERVICE_COMMANDS:
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="monobase")
