"""The command `run`."""

import os
import socket
import sys
import threading
from dataclasses import replace

import click

from daemon.cli.install_options import install_options
from daemon.cli.node_catalog import NodeCatalog
from daemon.cli.reporting import make_reporter
from daemon.cli.settings import RunSettings
from daemon.install.options import InstallOptions
from daemon.prefix.disk_budget import NO_BUDGET
from daemon.prefix.prefix import prefix_at
from daemon.service.address import parse_address
from daemon.service.context import ServiceContext
from daemon.service.http_server import HttpServer
from daemon.service.loop import Loop
from daemon.service.options import ServiceOptions
from daemon.uv.program import find_uv

_GRACE_S = 2.0
_NOTICE_S = 0.5


def run(settings: RunSettings, asked_to_stop: threading.Event) -> None:
    """Run the service until it is asked to stop; end the process then.

    Args:
        settings: The settings of the command.
        asked_to_stop: Set by a signal.

    Raises:
        MonobaseError: The service cannot go on.
    """
    try:
        address = None if settings.listen == "off" else parse_address(settings.listen)
    except ValueError as error:
        raise click.UsageError(f"--listen: {error}") from error
    program = settings.program
    reporter = make_reporter(program.log_format)
    # A service that installs on demand makes room first; others refuse what would pass the budget.
    refused = NO_BUDGET if settings.demand.on_demand else settings.budget.budget
    with install_options(
        settings.work, reporter, settings.active, budget=refused,
        concurrent_downloads=settings.concurrent_downloads, python_mirror=settings.python_mirror,
    ) as options:  # fmt: skip
        context = ServiceContext(
            prefix_at(settings.prefix),
            NodeCatalog(program.gens, reporter.info).load,
            find_uv(program.uv),
            _service_options(settings, options),
            reporter,
        )
        if address is not None:
            server = HttpServer(context, address)
            server.start()
            reporter.info("listening", address=f"{server.address.host}:{server.address.port}")
        _run_until(asked_to_stop, context)
    sys.stderr.flush()
    os._exit(0)  # a thread of the service may still wait for its uv, which ends with this process


def _service_options(settings: RunSettings, install: InstallOptions) -> ServiceOptions:
    selection = replace(install.selection, eager=settings.demand.patterns)
    return ServiceOptions(
        replace(install, selection=selection),
        settings.prune_old_gen, settings.clean_uv_cache, settings.repair, settings.features_dir,
        settings.check_interval, settings.scan_interval, settings.verify_interval,
        settings.retry_delay, settings.max_retry_delay,
        settings.budget.budget, settings.prune_unselected, settings.prefetch,
        settings.compile_cache, settings.compile_cache_size,
        first_fetch_jitter_s=settings.first_fetch_jitter,
        node_name=os.environ.get("NODE_NAME") or socket.gethostname(),
    )  # fmt: skip


def _run_until(asked_to_stop: threading.Event, context: ServiceContext) -> None:
    loop = Loop(context)
    failures: list[Exception] = []

    def work() -> None:
        try:
            loop.run()
        except Exception as error:
            failures.append(error)
        finally:
            asked_to_stop.set()

    worker = threading.Thread(target=work, name="service", daemon=True)
    worker.start()
    # Python runs a signal's handler in this thread; a signal that another thread receives does not wake it.
    while not asked_to_stop.wait(_NOTICE_S):
        pass
    context.stop.set()
    worker.join(_GRACE_S)
    if failures:
        raise failures[0]
    if worker.is_alive():
        # An install may be ended at any moment: the next start goes on, and the kernel ends its uv with it.
        context.reporter.info(f"ended while {context.state.activity}; the next start goes on there")
    else:
        context.reporter.info("ended")
