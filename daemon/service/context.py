"""The context of the service's parts: prefix, definitions, state, and the handling of failures.

A failure of one subject is logged, counted, shown on the page, and tried again after a delay of its own
(`daemon/host/retries.py`); all other subjects go on.
"""

import threading
import traceback
from collections.abc import Callable
from pathlib import Path

from daemon.host.retries import Retries
from daemon.host.system_error import system_errors
from daemon.install.plan import check_patterns
from daemon.prefix.prefix import Prefix
from daemon.report.progress import Reporter
from daemon.service.definitions import Definitions
from daemon.service.failure import for_everybody, kind_of, text_of
from daemon.service.metrics import Metrics
from daemon.service.options import ServiceOptions
from daemon.service.state import ServiceState
from daemon.upkeep.known_file import write_known
from daemon.upkeep.readiness import Known, Readiness, read_readiness
from daemon.upkeep.scan import ScanInterruptedError
from gens.catalog import Catalog
from gens.errors import MonobaseError
from gens.generation import Generation


class ServiceContext:
    """The service of one prefix, as its parts see it.

    Args:
        prefix: The prefix.
        load: Reads the definitions.
        uv_program: The uv binary.
        options: What an operator decides.
        reporter: The log.

    Attributes:
        retries: What failed, with the delay of each subject.
        state: What the service does, and what went wrong.
        stop: Set when the service is to end.
        metrics: The metrics.
        definitions: The generations to install.
        is_counted: Whether the bytes on the prefix were counted since they last changed.

    Raises:
        DefinitionError: No generation of the range can be read, or `--only` matches nothing.
    """

    def __init__(
        self,
        prefix: Prefix,
        load: Callable[[], Catalog],
        uv_program: Path,
        options: ServiceOptions,
        reporter: Reporter,
    ) -> None:
        self.prefix = prefix
        self.uv_program = uv_program
        self.options = options
        self.reporter = reporter
        self.retries = Retries(options.retry_delay_s, options.max_retry_delay_s)
        self.state = ServiceState(self.retries)
        self.stop = threading.Event()
        self.metrics = Metrics(prefix, self.state, self.readiness)
        self.definitions = Definitions(load, options.install.min_gen_id, options.install.max_gen_id)
        self.is_counted = False
        check_patterns(self.active(), options.install.only)

    @property
    def catalog(self) -> Catalog:
        """The definitions in force."""
        return self.definitions.catalog

    def active(self) -> list[Generation]:
        """Return the active generations, newest first."""
        options = self.options.install
        active = self.catalog.between(options.min_gen_id, options.max_gen_id)
        return sorted(active, key=lambda generation: generation.id, reverse=True)

    def old_generations(self) -> list[str]:
        """Return the installed generations that are older than `--min-gen-id`."""
        minimum = self.options.install.min_gen_id or 0
        return [name for name in self.prefix.installed_generations() if int(name[1:]) < minimum]

    def readiness(self) -> Readiness:
        """Read from the prefix whether the node is ready."""
        options = self.options.install
        return read_readiness(
            self.prefix,
            self.catalog,
            options.min_gen_id,
            options.max_gen_id,
            self.state.known(),
            options.only,
        )

    def attempt(self, subject: str, work: Callable[[], None]) -> bool:
        """Do something that may fail, unless it failed before and its delay has not expired.

        Args:
            subject: Name of the work for retries, such as `repair g00003`.
            work: Does it.

        Returns:
            Whether it was done.
        """
        if self.stop.is_set() or not self.retries.may(subject):
            return False
        try:
            work()
        except ScanInterruptedError:
            return False
        except Exception as error:
            self.fail(subject, error)
            return False
        self.retries.succeeded(subject)
        return True

    def fail(self, subject: str, error: BaseException, note: str = "") -> None:
        """Report a failure, and have it tried again after the delay of its subject.

        Args:
            subject: What failed.
            error: The failure.
            note: Text after the message.
        """
        delay_s = self.retries.failed(subject, for_everybody(text_of(error) + note))
        self.report(subject, error, f"{note}; trying again in {delay_s:.1f} s")

    def report(self, subject: str, error: BaseException, note: str = "") -> None:
        """Report a failure in the log, the metrics and on the page.

        Args:
            subject: What failed.
            error: The failure.
            note: Text after the message, in the log only.
        """
        text = for_everybody(text_of(error))
        self.metrics.failures.labels(kind_of(error)).inc()
        self.state.add_error(kind_of(error), subject, text)
        if not isinstance(error, MonobaseError | OSError):
            text = f"a fault of monobase itself:\n{''.join(traceback.format_exception(error))}"
        self.reporter.error(text + note, subject=subject, kind=kind_of(error))

    def write_known(self, known: Known | None = None) -> None:
        """Write what the service knows for probes in other processes.

        Args:
            known: What it knows; None for what its state says.
        """
        with system_errors(self.prefix.root):
            write_known(self.prefix, self.state.known() if known is None else known)
