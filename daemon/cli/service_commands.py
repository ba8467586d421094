"""The commands of the service: `run`, `ready`, `prune`."""

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

import click

from daemon.cli.options import (
    Seconds,
    check_range,
    concurrent_downloads_option,
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
    python_mirror_option,
    uv_option,
)
from daemon.prefix.prefix import prefix_at
from daemon.report.shown_text import json_document

_GRACE_S = 2.0
_NOTICE_S = 0.5
_SECONDS = Seconds(0.05)


@click.command()
@prefix_option
@min_gen_id_option
@max_gen_id_option
@option(
    "--only", multiple=True, metavar="PATTERN", help="Names of environments and toolkits; may be repeated."
)
@option(
    "--prune-old-gen",
    is_flag=True,
    help="Remove generations older than --min-gen-id, and what only they use.",
)
@option(
    "--clean-uv-cache",
    is_flag=True,
    help="Empty uv's cache at the start; installed generations stay as they are.",
)
@option(
    "--listen", default="0.0.0.0:8080", metavar="HOST:PORT",
    help="Address of /, /healthz, /readyz, /metrics; `off` for none.",
)  # fmt: skip
@option("--repair/--no-repair", default=True, help="Whether damage that a check finds is restored.")
@option(
    "--features-dir", type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="node-feature-discovery's features.d, to tell there which generations are ready.",
)  # fmt: skip
@option(
    "--check-interval", type=_SECONDS, default=60.0, metavar="SECONDS", help="Between two looks at the marks."
)
@option(
    "--scan-interval", type=_SECONDS, default=3600.0, metavar="SECONDS",
    help="Between two looks at each file's size, mode and time of change.",
)  # fmt: skip
@option(
    "--verify-interval", type=Seconds(), default=604_800.0, metavar="SECONDS",
    help="Between two readings of every file; 0 for never.",
)  # fmt: skip
@option(
    "--retry-delay", type=_SECONDS, default=5.0, metavar="SECONDS", help="Before the first retry; it doubles."
)
@option(
    "--max-retry-delay", type=_SECONDS, default=600.0, metavar="SECONDS", help="The longest of the delays."
)
@concurrent_downloads_option
@python_mirror_option
@jobs_option
@copy_option
@index_url_option
@max_download_rate_option
@min_download_rate_option
@min_download_window_option
@python_downloads_option
@gens_option
@uv_option
@log_format_option
def run(
    prefix: Path,
    min_gen_id: int | None,
    max_gen_id: int | None,
    only: tuple[str, ...],
    prune_old_gen: bool,
    clean_uv_cache: bool,
    listen: str,
    repair: bool,
    features_dir: Path | None,
    check_interval: float,
    scan_interval: float,
    verify_interval: float,
    retry_delay: float,
    max_retry_delay: float,
    concurrent_downloads: int | None,
    python_mirror: str | None,
    jobs: int,
    copy: bool,
    index_url: str | None,
    max_download_rate: int | None,
    min_download_rate: int,
    min_download_window: float,
    python_downloads: bool,
    gens: Path | None,
    uv: Path | None,
    log_format: str,
) -> None:
    """Install the active generations, newest first, and keep the node that way until SIGTERM."""
    asked_to_stop = threading.Event()
    _stop_on_signals(asked_to_stop)
    check_range(min_gen_id, max_gen_id)
    if prune_old_gen and min_gen_id is None:
        raise click.UsageError("--prune-old-gen needs --min-gen-id: without it, no generation is too old")
    if max_retry_delay < retry_delay:
        raise click.UsageError(
            f"--max-retry-delay {max_retry_delay:g} is below --retry-delay {retry_delay:g}"
        )
    if python_mirror is not None and not python_downloads:
        raise click.UsageError("--python-mirror and --no-python-downloads contradict each other")

    from daemon.download_limit.limiting_proxy import limit_downloads  # noqa: PLC0415
    from daemon.install.pipeline import InstallOptions  # noqa: PLC0415
    from daemon.report.progress import Reporter  # noqa: PLC0415
    from daemon.service.http_server import HttpServer, parse_address  # noqa: PLC0415 (`--help` should not load the stages)
    from daemon.service.loop import Service, ServiceOptions  # noqa: PLC0415
    from daemon.uv.program import Downloads, find_uv  # noqa: PLC0415
    from gens.catalog import load_catalog  # noqa: PLC0415

    try:
        address = None if listen == "off" else parse_address(listen)
    except ValueError as error:
        raise click.UsageError(f"--listen: {error}") from error
    context = click.get_current_context()
    reporter = Reporter(log_format="json" if log_format == "json" else "text")
    context.find_root().obj = reporter  # errors are shown as it shows all else
    proxy_url = context.with_resource(limit_downloads(max_download_rate, os.environ, reporter.warning))
    options = ServiceOptions(
        InstallOptions(
            min_gen_id, max_gen_id, only, jobs, copy, python_downloads, index_url, proxy_url=proxy_url,
            uv_downloads=Downloads(
                concurrent_downloads, python_mirror,
                least_rate(min_download_rate, min_download_window, max_download_rate),
            ),
        ),
        prune_old_gen, clean_uv_cache, repair, features_dir, check_interval, scan_interval, verify_interval,
        retry_delay, max_retry_delay,
    )  # fmt: skip
    service = Service(
        prefix_at(prefix), lambda: load_catalog(gens, keep_broken=True), find_uv(uv), options, reporter
    )
    if address is not None:
        server = HttpServer(service, address)
        server.start()
        reporter.info("listening", address=f"{server.address.host}:{server.address.port}")
    failures: list[Exception] = []

    def work() -> None:
        try:
            service.run()
        except Exception as error:
            failures.append(error)
        finally:
            asked_to_stop.set()

    worker = threading.Thread(target=work, name="service", daemon=True)
    worker.start()
    # Python runs the handler of a signal in this thread, and one that another thread got does not wake it up.
    while not asked_to_stop.wait(_NOTICE_S):
        pass
    service.stop.set()
    worker.join(_GRACE_S)
    if failures:
        raise failures[0]
    if worker.is_alive():
        # An install may be ended at any moment: the next start goes on, and the kernel ends its uv with it.
        reporter.info(f"ended while {service.state.activity}; the next start goes on there")
    else:
        reporter.info("ended")
    sys.stderr.flush()
    os._exit(0)


@click.command()
@prefix_option
@min_gen_id_option
@max_gen_id_option
@option(
    "--only", multiple=True, metavar="PATTERN", help="Names of environments and toolkits; may be repeated."
)
@gens_option
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def ready(
    prefix: Path,
    min_gen_id: int | None,
    max_gen_id: int | None,
    only: tuple[str, ...],
    gens: Path | None,
    as_json: bool,
) -> None:
    """Tell whether the active generations are ready: exit with 0, or with 1 and the reasons."""
    check_range(min_gen_id, max_gen_id)
    from daemon.install.plan import check_patterns  # noqa: PLC0415
    from daemon.service.known_file import read_known  # noqa: PLC0415 (`--help` should not load it)
    from daemon.upkeep.readiness import read_readiness, readiness_text  # noqa: PLC0415
    from gens.catalog import load_catalog  # noqa: PLC0415

    place = prefix_at(prefix)
    catalog = load_catalog(gens, keep_broken=True)
    known = read_known(place, lambda text: click.echo(f"warning: {text}", err=True))
    check_patterns(catalog.between(min_gen_id, max_gen_id), only)
    readiness = read_readiness(place, catalog, min_gen_id, max_gen_id, known, only)
    if as_json:
        click.echo(json_document(readiness).decode())
    else:
        click.echo(readiness_text(readiness), nl=False)
    if not readiness.ready:
        sys.exit(1)


@click.command()
@prefix_option
@option("--min-gen-id", type=click.IntRange(min=0), required=True, help="Oldest generation that stays.")
@max_gen_id_option
@click.option(
    "--dry-run", is_flag=True, help="Only say what would go and what that frees; nothing is written."
)
@lock_timeout_option
@gens_option
@uv_option
@log_format_option
def prune(
    prefix: Path,
    min_gen_id: int,
    max_gen_id: int | None,
    dry_run: bool,
    lock_timeout: float | None,
    gens: Path | None,
    uv: Path | None,
    log_format: str,
) -> None:
    """Remove generations older than --min-gen-id, and what only they use."""
    check_range(min_gen_id, max_gen_id)
    from daemon.report.progress import Reporter  # noqa: PLC0415 (`--help` should not load the stages)
    from daemon.upkeep.prune import plan_prune  # noqa: PLC0415
    from daemon.upkeep.prune import prune as run_prune  # noqa: PLC0415
    from daemon.uv.program import find_uv  # noqa: PLC0415
    from gens.catalog import load_catalog  # noqa: PLC0415

    place = prefix_at(prefix)
    reporter = Reporter(log_format="json" if log_format == "json" else "text")
    click.get_current_context().find_root().obj = reporter  # errors are shown as it shows all else
    catalog = load_catalog(gens, keep_broken=True)
    if dry_run:
        plan = plan_prune(place, catalog, min_gen_id, max_gen_id)
    else:
        plan = run_prune(place, catalog, find_uv(uv), min_gen_id, max_gen_id, reporter, lock_timeout)
    if plan.incomplete:
        reporter.warning(plan.incomplete)
    for name, reason in plan.kept.items():
        reporter.info(f"{name} stays: {reason}", generation=name)
    reporter.info(
        "would go" if dry_run else "gone",
        generations=plan.generations,
        toolkits=plan.toolkits,
        interpreters=plan.interpreters,
        wheels=len(plan.wheels),
        inodes=plan.freed_inodes,
        freed_bytes=plan.freed_bytes,
    )


def _stop_on_signals(asked_to_stop: threading.Event) -> None:
    """End on SIGTERM and SIGINT; at the second one, at once."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        if asked_to_stop.is_set():
            os._exit(0)
        asked_to_stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)


SERVICE_COMMANDS = (run, ready, prune)
