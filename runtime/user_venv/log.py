"""Writes messages to stderr, at the level that MONOBASE_LOG_LEVEL names."""

import os
import sys

_LEVELS = {"debug": 0, "info": 1, "warning": 2, "error": 3}


def log(level: str, text: str) -> None:
    """Print a message, unless its level is below the one that the user wants.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        text: The message.
    """
    if _LEVELS[level] >= _LEVELS.get(os.environ.get("MONOBASE_LOG_LEVEL") or "warning", 2):
        sys.stderr.write(f"monobase: {level}: {text}\n")
        sys.stderr.flush()
