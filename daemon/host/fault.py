"""Ends the process at a named point for a test: `MONOBASE_FAULT_AT=seal:renamed` sends SIGKILL there.

Tests of crash safety also kill by system call and by time from outside; this reaches the boundaries that
matter most at once. The points: `plan:done`, `fetch:call`, `fetch:synced`, `fetch:kept`, `link:linked`,
`compile:compiled`, `compile:kept`, `layout:toolkit`, `seal:synced`, `seal:renamed`, `seal:listed`,
`seal:opened`, `seal:done`, `seal:latest`, `prune:renamed`, `prune:removed`, `evict:unsealed`, `evict:listed`,
`evict:renamed`.
"""

import os
import signal

VARIABLE = "MONOBASE_FAULT_AT"


def fault_point(name: str) -> None:
    """End the process without any clean-up, if the environment asks for it here."""
    if os.environ.get(VARIABLE) == name:
        os.kill(os.getpid(), signal.SIGKILL)
