"""Measures each Python process that a test starts: Python imports this module at its start.

The folder is on PYTHONPATH only while `//tests/code_coverage` runs.
"""

import contextlib
import os

# A process whose working folder is gone is not measured: coverage.py cannot be loaded there.
with contextlib.suppress(FileNotFoundError):
    os.getcwd()  # noqa: PTH109 (pathlib would be loaded for it, in every process)
    import coverage

    coverage.process_startup()
