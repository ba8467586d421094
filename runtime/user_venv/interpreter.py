"""The Python that a venv runs with."""

import _imp  # the suffix of extension modules, without the cost of sysconfig
import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

from .errors import PreparationError
from .files import link, write_file
from .layout import PYTHON
from .log import log

_ABI = _imp.extension_suffixes()[0]
_PROBE = "import _imp; print(_imp.extension_suffixes()[0])"
_PROBE_LIMIT_S = 60


def interpreter_of(base: Path) -> Path:
    """Return the interpreter that an environment was created with.

    Args:
        base: The environment.
    """
    with contextlib.suppress(OSError):
        home = _home_in((base / "pyvenv.cfg").read_text("utf-8", "surrogateescape"))
        for name in (PYTHON, "python3", "python"):
            if home is not None and (home / name).is_file():
                return home / name
    return Path(sys.executable).resolve()


def _home_in(config: str) -> Path | None:
    found = re.search(r"^home\s*=\s*(.*?)\s*$", config, re.MULTILINE)
    return Path(found.group(1)) if found else None


def repair_interpreter(venv: Path, base: Path) -> None:
    """Link `bin/python` to the base's interpreter, unless it runs and fits the packages of both sides.

    A venv from another image has an interpreter that this image lacks, or has in another version.

    Args:
        venv: The venv.
        base: The environment.

    Raises:
        PreparationError: The link cannot be made, or does not help.
    """
    python = venv / "bin" / "python"
    if has_interpreter(venv):
        return
    interpreter = interpreter_of(base)
    was = os.path.realpath(python) if python.is_symlink() else ""
    try:
        python.parent.mkdir(exist_ok=True)
        write_file(
            venv / "pyvenv.cfg",
            _config_for((venv / "pyvenv.cfg").read_text("utf-8", "surrogateescape"), interpreter),
        )
        link(venv / "bin" / PYTHON, str(interpreter))
        link(venv / "bin" / "python3", PYTHON)
        link(python, PYTHON)
    except OSError as error:
        raise PreparationError(
            f"{venv} cannot be prepared: {error.filename}: {error.strerror}",
            f"Its {python}{f' leads to {was}, which' if was else ''} is not a {PYTHON} that runs here; "
            f"it should be linked to {interpreter}.",
        ) from error
    if not has_interpreter(venv):
        raise PreparationError(f"{python} does not run, though it was linked to {interpreter}.")
    log("info", f"{python}{f' led to {was}; it' if was else ''} is linked to {interpreter} now")


def has_interpreter(venv: Path) -> bool:
    """Return whether a venv has an interpreter that runs and is of the base's kind.

    Args:
        venv: The venv.
    """
    try:
        ended = subprocess.run(
            [str(venv / "bin" / "python"), "-I", "-S", "-B", "-c", _PROBE],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_PROBE_LIMIT_S,
            check=False,
        )
        config = (venv / "pyvenv.cfg").read_text("utf-8", "surrogateescape")
    except (OSError, subprocess.TimeoutExpired):
        return False
    home = _home_in(config)
    runs = ended.returncode == 0 and os.fsdecode(ended.stdout).strip() == _ABI
    return runs and home is not None and home.is_dir()


def _config_for(text: str, base: Path) -> str:
    """Return the text of a pyvenv.cfg, with another interpreter in it."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    values = {
        "home": str(base.parent),
        "version": version,
        "version_info": version,
        "executable": str(base),
        "base-executable": str(base),
        "base-prefix": sys.base_prefix,
        "base-exec-prefix": sys.base_exec_prefix,
    }
    lines = []
    for line in text.splitlines():
        key = line.partition("=")[0].strip().lower()
        lines.append(f"{key} = {values[key]}" if key in values else line)
    if not any(line.startswith("home ") for line in lines):
        lines.insert(0, f"home = {values['home']}")
    return "".join(f"{line}\n" for line in lines)
