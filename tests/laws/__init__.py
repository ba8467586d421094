"""What the tests of laws share: how many values Hypothesis tries, and values that have the forms of ours.

A law is tried on the same values each time, so that a failure is a change's and not chance's. By hand more of
them, other ones at each run: MONOBASE_LAW_EXAMPLES=10000 for each law.
"""

import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings

_EXAMPLES = 60

# It keeps what it learned of Unicode beside the tests unless it is told where.
os.environ.setdefault(
    "HYPOTHESIS_STORAGE_DIRECTORY", str(Path(tempfile.gettempdir()) / f"hypothesis-{os.getuid()}")
)
settings.register_profile(
    "same", max_examples=_EXAMPLES, derandomize=True, deadline=None, database=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
settings.register_profile(
    "by hand", settings.get_profile("same"), derandomize=False, print_blob=True,
    max_examples=int(os.environ.get("MONOBASE_LAW_EXAMPLES", _EXAMPLES)),
)  # fmt: skip
settings.load_profile("by hand" if "MONOBASE_LAW_EXAMPLES" in os.environ else "same")
