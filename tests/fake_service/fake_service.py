"""A service over a fake prefix, whose log a test can read."""

import io
import json
from pathlib import Path
from typing import Any

from daemon.install.options import InstallOptions
from daemon.report.progress import Reporter
from daemon.service.context import ServiceContext
from daemon.service.options import ServiceOptions
from gens.catalog import load_catalog
from gens.definition_memory import DefinitionMemory
from tests.fake_prefix.fake_prefix import FakePrefix


class FakeService:
    """A service that nothing runs, over a fake prefix.

    Attributes:
        fake: The prefix.
        context: The service.
    """

    def __init__(self, fake: FakePrefix, install: InstallOptions | None = None, **options: Any) -> None:  # noqa: ANN401
        self._log = io.StringIO()
        self.fake = fake
        settings = {"retry_delay_s": 3600.0, "max_retry_delay_s": 3600.0, "check_interval_s": 0.01} | options
        memory = DefinitionMemory()
        self.context = ServiceContext(
            fake.prefix,
            lambda: load_catalog(fake.directory / "gens", memory=memory),
            Path("uv"),
            ServiceOptions(install or InstallOptions(jobs=1), **settings),
            Reporter(self._log, "json"),
        )

    @property
    def log(self) -> list[str]:
        """The messages of the log, each after its level."""
        entries = [json.loads(line) for line in self._log.getvalue().splitlines()]
        return [f"{entry['level']}: {entry['message']}" for entry in entries if "message" in entry]

    @property
    def failed(self) -> list[str]:
        """The subjects that failed and wait for their retry."""
        return [retry.subject for retry in self.context.retries.pending()]
