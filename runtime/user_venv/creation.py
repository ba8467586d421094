"""Creates a venv in an empty folder."""

import contextlib
import errno
import os
import shutil
import venv as standard_venv
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from .errors import PreparationError
from .files import NEW, remove
from .interpreter import interpreter_of
from .layout import LIBRARY, PYTHON, VERSION

if TYPE_CHECKING:
    from _typeshed import StrOrBytesPath


class _Maker(standard_venv.EnvBuilder):
    """Creates a venv in one folder whose scripts name another, with the base's own interpreter."""

    def __init__(self, final: Path, interpreter: Path) -> None:
        super().__init__(symlinks=True, prompt=final.name)
        self._final = final
        self._interpreter = interpreter

    def ensure_directories(self, env_dir: "StrOrBytesPath") -> SimpleNamespace:
        context = super().ensure_directories(env_dir)
        # Python 3.10 takes the link of the base's environment for an interpreter.
        context.executable = str(self._interpreter)
        context.python_dir = str(self._interpreter.parent)
        return context

    def setup_scripts(self, context: SimpleNamespace) -> None:
        made, context.env_dir = context.env_dir, str(self._final)
        super().setup_scripts(context)
        context.env_dir = made


def create_venv(venv: Path, base: Path) -> None:
    """Create a venv in an empty folder, unless it exists already.

    Leftovers of a killed creation count as empty. The folder may be a mount, so the venv is created in a
    folder inside and moved out part by part, pyvenv.cfg last.

    Args:
        venv: The folder.
        base: The environment whose interpreter the venv gets.

    Raises:
        PreparationError: The folder holds something else.
    """
    new = venv / NEW
    if (venv / "pyvenv.cfg").is_file():
        return
    begun = new.is_dir()
    there = sorted(path.name for path in venv.iterdir() if path.name not in (NEW, "lost+found"))
    parts = ("bin", "include", "lib", "lib64", "share")
    if there and not (begun and all(name in parts or name.startswith(".monobase") for name in there)):
        raise PreparationError(f"{venv} is not a virtual environment: it has no pyvenv.cfg.")
    for name in there:
        if name in parts:
            remove(venv / name)
    remove(new)
    with _naming_in(venv):
        _Maker(venv, interpreter_of(base)).create(new)
    config = new / "pyvenv.cfg"
    with _naming_in(venv):
        config.write_text(config.read_text().replace(str(new), str(venv)))
    for name in parts:
        if os.path.lexists(new / name):
            (new / name).rename(venv / name)
    config.rename(venv / "pyvenv.cfg")
    remove(new)


@contextlib.contextmanager
def _naming_in(path: Path) -> Iterator[None]:
    """Replace the file name in an error by its final one, while a venv is created in a folder inside.

    Args:
        path: The venv.

    Raises:
        OSError: The error, with the file's final name, or else the venv's.
    """
    try:
        yield
    except OSError as error:
        known = str(error.filename or path).replace(f"{path}/{NEW}/", f"{path}/")
        raise OSError(error.errno, error.strerror or str(error), known) from error
    except shutil.Error as error:
        raise OSError(errno.EIO, str(error), str(path)) from error


def refuse_other_python(venv: Path) -> None:
    """Report that a venv is for another minor version of Python.

    Args:
        venv: The venv.

    Raises:
        PreparationError: Always.
    """
    python = venv / "bin" / "python"
    advice = []
    if python.is_symlink():
        advice.append(f"Its {python} leads to {os.path.realpath(python)}.")
    others = sorted(path.parent.name for path in venv.glob("lib/python*/site-packages"))
    if others:
        advice.append(f"It is for {', '.join(others)}: set PYTHON_VERSION so, or make it with {PYTHON}.")
    raise PreparationError(f"{venv} is not for Python {VERSION}: it has no {LIBRARY}.", *advice)
