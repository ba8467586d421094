"""The context of the service's parts: prefix, definitions, state, and the handling of failures.

A failure of one subject is logged, counted, shown on the page, and tried again after a delay of its own
(`daemon/host/retries.py`); all other subjects go on.
"""

import threading
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from daemon.host.retries import Retries
from daemon.host.system_error import system_errors
from daemon.prefix.manifest_memory import ManifestMemory
from daemon.prefix.prefix import Prefix
from daemon.report.progress import Reporter
from daemon.service.definitions import Definitions
from daemon.service.failure import for_everybody, kind_of, text_of
from daemon.service.metrics import Metrics
from daemon.service.options import ServiceOptions
from daemon.service.state import ServiceState
from daemon.upkeep.known_file import write_known
from daemon.upkeep.readiness import Known, Readiness, SourceKnown, read_readiness
from daemon.upkeep.scan import ScanInterruptedError
from gens.catalog import Catalog
from gens.errors import MonobaseError
from gens.generation import Generation
from gens.selection import Selection


class ServiceContext:
    """The context of the parts of a service.

    Attributes:
        retries: The subjects that failed, with their delays.
        stop: Set when the service is to end.
        is_counted: Whether the bytes on the prefix were counted since they last changed.
        manifests: The manifests that rounds and answers have read.

    Raises:
        DefinitionError: No generation of the range can be read, or the selection matches nothing.
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
        wanted = options.install
        self._ledger = None if wanted.sources is None else wanted.sources.ledger
        self.metrics = Metrics(prefix, self.state, self.readiness, self._ledger)
        self.definitions = Definitions(load, wanted.min_gen_id, wanted.max_gen_id, wanted.selection)
        self.is_counted = False
        self.manifests = ManifestMemory()
        self.selection().check(self.active())

    @property
    def catalog(self) -> Catalog:
        """The definitions in force."""
        return self.definitions.catalog

    def active(self) -> list[Generation]:
        """Return the active generations, newest first."""
        options = self.options.install
        active = self.catalog.between(options.min_gen_id, options.max_gen_id)
        return sorted(active, key=lambda generation: generation.id, reverse=True)

    def selection(self) -> Selection:
        """Return the part of each generation that this node holds, as its pool is defined now.

        Raises:
            DefinitionError: There is no such pool.
        """
        return self.catalog.resolve(self.options.install.selection)

    def old_generations(self) -> list[str]:
        """Return the installed generations that are older than `--min-gen-id`."""
        minimum = self.options.install.min_gen_id or 0
        return [name for name in self.prefix.installed_generations() if int(name[1:]) < minimum]

    def readiness(self) -> Readiness:
        """Read from the prefix whether the node is ready."""
        known, options = self.state.known(), self.options.install
        least, most = options.min_gen_id, options.max_gen_id
        return read_readiness(
            self.prefix, self.catalog, least, most, known, options.selection, self.manifests
        )

    def attempt(self, subject: str, work: Callable[[], None]) -> bool:
        """Do the work of a subject such as `repair g00003`; return whether it was done.

        It is not done while the delay after a failure has not expired, or once the service is to stop.
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
        """Report a failure, with a note after its message; the subject is tried again after its delay."""
        delay_s = self.retries.failed(subject, for_everybody(text_of(error) + note))
        self.report(subject, error, f"{note}; trying again in {delay_s:.1f} s")

    def report(self, subject: str, error: BaseException, note: str = "") -> None:
        """Report a failure in the log, the metrics and on the page; the note in the log only."""
        text = for_everybody(text_of(error))
        self.metrics.failures.labels(kind_of(error)).inc()
        self.state.add_error(kind_of(error), subject, text)
        if not isinstance(error, MonobaseError | OSError):
            text = f"a fault of monobase itself:\n{''.join(traceback.format_exception(error))}"
        self.reporter.error(text + note, subject=subject, kind=kind_of(error))

    def write_known(self, known: Known | None = None) -> None:
        """Write the file for probes in other processes: the given knowledge, or that of the state."""
        with system_errors(self.prefix.root):
            found = self.state.known() if known is None else known
            write_known(self.prefix, replace(found, sources=self._sources()))

    def _sources(self) -> tuple[SourceKnown, ...]:
        counts = [] if self._ledger is None else self._ledger.counts()
        return tuple(
            SourceKnown(
                count.name,
                count.received_bytes,
                {reason: number for reason, number in count.failures.items() if number},
            )
            for count in counts
        )
