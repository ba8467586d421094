"""Disturbs each Python process that a disturbed test starts: Python imports this module at its start.

The folder is on PYTHONPATH only below the pytest plugin of `tests/schedules`.
"""

import os

if seed := os.environ.get("MONOBASE_SCHEDULE_SEED"):
    try:
        from tests.schedules.disturbance import Disturbance, disturb
    except ImportError:  # another Python or root: it runs undisturbed
        pass
    else:
        disturb(Disturbance(int(seed)))
