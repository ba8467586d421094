"""Prepares a venv, step by step.

A preparation can be killed at any instruction. It removes the mark first and writes it last, and writes files
and folders under another name, then renames them. The next preparation removes the leftovers of a killed one.
One process prepares at a time.
"""

import contextlib
import os
from pathlib import Path

from .copies import add_copies, remove_copies
from .creation import create_venv, refuse_other_python
from .distributions import installed, is_torn_copy
from .errors import PreparationError
from .files import NEW, remove
from .hook import write_hook
from .interpreter import repair_interpreter
from .layout import LIBRARY
from .lock import LOCK_WAIT_S, locked
from .mark import is_prepared, remove_mark, write_mark
from .note import write_note
from .scripts import repair_scripts


def prepare(venv: Path, base: Path, *, lock_wait_s: float = LOCK_WAIT_S) -> None:
    """Make the packages of an environment visible in a venv, which is created if it does not exist.

    Args:
        venv: The venv, or an empty or absent folder.
        base: The environment.
        lock_wait_s: How long to wait for another process that prepares the same venv.

    Raises:
        PreparationError: The venv cannot be prepared.
        OSError: It cannot be prepared, and the error names the file.
    """
    _refuse_place(venv, base)
    if not venv.is_dir() and not venv.is_symlink() and not venv.exists():
        venv.mkdir(parents=True, exist_ok=True)
    if not venv.is_dir():
        raise PreparationError(f"{venv} is not a virtual environment: it has no pyvenv.cfg.")
    with locked(venv, lock_wait_s):
        if is_prepared(venv, base):
            return
        try:
            _prepare_locked(venv, base)
        except BaseException:
            with contextlib.suppress(OSError):  # give a full disk its space back
                _remove_leftovers(venv)
            raise


def _prepare_locked(venv: Path, base: Path) -> None:
    create_venv(venv, base)
    packages = venv / LIBRARY
    if not packages.is_dir():
        refuse_other_python(venv)
    remove_mark(venv)
    _remove_leftovers(venv)
    repair_interpreter(venv, base)
    repair_scripts(venv)
    theirs = installed(base / LIBRARY)
    own = {
        name: distribution
        for name, distribution in installed(packages).items()
        if not is_torn_copy(distribution, theirs)
    }
    kept = remove_copies(venv, theirs, own)
    watched = add_copies(venv, theirs, own, kept)
    write_hook(venv, base)
    write_note(venv, base, theirs, own)
    write_mark(venv, base, watched)


def _refuse_place(venv: Path, base: Path) -> None:
    # A sealed generation is never written to, even if it is mounted writable.
    generations = Path(os.path.realpath(base)).parent.parent
    prefix = generations if generations.parent == Path("/") else generations.parent
    place = Path(os.path.realpath(venv))
    if place == prefix or prefix in place.parents:
        raise PreparationError(f"{venv} lies in the prefix {prefix}, which only the installer writes to.")
    if (venv / "conda-meta").is_dir():
        raise PreparationError(f"{venv} is a conda environment, not a virtual environment of Python's venv.")


def _remove_leftovers(venv: Path) -> None:
    for folder in (venv, venv / "bin", venv / LIBRARY):
        for left in folder.glob(f"{NEW}*"):
            remove(left)
