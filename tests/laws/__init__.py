"""Settings and value generators of the property tests.

A law is tried on the same values each time, so that a failure is a change's and not chance's. By hand more of
them, other ones at each run: MONOBASE_LAW_EXAMPLES=10000 for each law.
"""

import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings

_EXAMPLES = 60
_BY_HAND = os.environ.get("MONOBASE_LAW_EXAMPLES")

# It keeps what it learned of Unicode beside the tests unless it is told where.
os.environ.setdefault(
    "HYPOTHESIS_STORAGE_DIRECTORY", str(Path(tempfile.gettempdir()) / f"hypothesis-{os.getuid()}")
)


def examples(number: int) -> settings:
    """Return settings with few examples for a slow property; a number set by the caller overrides it.

    Args:
        number: How many examples are tried.
    """
    return settings(
        max_examples=number if _BY_HAND is None else int(_BY_HAND), derandomize=_BY_HAND is None,
        print_blob=_BY_HAND is not None, deadline=None, database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )  # fmt: skip


settings.register_profile("monobase", examples(_EXAMPLES))
settings.load_profile("monobase")
