"""The command that `activate.sh` runs: `main([VENV, BASE])`."""

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .errors import PreparationError
from .files import room_near
from .interpreter import has_interpreter
from .layout import LIBRARY
from .log import log
from .mark import is_marked
from .overlay_module import HOOK
from .preparation import prepare

CODE_CANNOT_PREPARE = 73


def main(arguments: Sequence[str]) -> int:
    """Prepare a venv, or print to stderr why it cannot be.

    Args:
        arguments: The venv and the environment below it.

    Returns:
        The exit code.
    """
    venv, base = (Path(argument) for argument in arguments)
    try:
        prepare(venv, base)
        return 0
    except PreparationError as error:
        problem, advice = error.summary, error.advice
    except OSError as error:
        problem, advice = _problem_of(venv, error), ()
    if is_marked(venv, base) and (venv / LIBRARY / HOOK).is_file() and has_interpreter(venv):
        log("warning", f"{problem}; going on with {venv} as it is: its list of the base's packages has gaps")
        return 0
    lines = [
        f"monobase: error: {problem}",
        f"    MONOBASE_USER_VENV (or else VIRTUAL_ENV) names it as the venv on top of {base}.",
        *(f"    {line}" for line in advice),
        (
            "    Name an empty or absent folder that this user can write to, or a venv of this Python; "
            "an empty value uses none."
        ),
    ]
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    return CODE_CANNOT_PREPARE


def _problem_of(venv: Path, error: OSError) -> str:
    path = Path(os.fsdecode(error.filename2 or error.filename or venv))
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        reason += room_near(path)
    return f"{venv} cannot be prepared: {path}: {reason}"
