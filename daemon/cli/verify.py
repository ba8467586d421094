"""The command `verify`."""

from daemon.cli.install_options import install_options
from daemon.cli.node_catalog import NodeCatalog
from daemon.cli.reporting import make_reporter
from daemon.cli.settings import VerifySettings
from daemon.cli.verify_report import check_names, end_verify
from daemon.prefix.prefix import prefix_at
from daemon.upkeep import verify as reading
from daemon.upkeep.repair import repair
from daemon.uv.program import find_uv
from gens.generation import generation_directory_name


def verify(settings: VerifySettings) -> None:
    """Compare the installed files with their manifests, and restore them if `--repair` is given."""
    program = settings.program
    prefix = prefix_at(settings.prefix)
    reporter = make_reporter(program.log_format)
    names = [generation_directory_name(number) for number in settings.gen] or prefix.installed_generations()
    check_names(prefix, names)
    stores = not settings.gen
    if not settings.repair:
        found = reading.verify(prefix, names, settings.work.jobs, stores=stores)
        end_verify(prefix, names, found, None, reporter, as_json=settings.as_json)
        return
    with install_options(settings.work, reporter, lock_timeout_s=settings.lock_timeout) as options:
        catalog = NodeCatalog(program.gens).load()
        result = repair(prefix, catalog, find_uv(program.uv), names, options, reporter, stores=stores)
    end_verify(prefix, names, result, result.failures, reporter, as_json=settings.as_json)
