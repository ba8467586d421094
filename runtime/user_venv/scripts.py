"""Repairs the scripts in `bin/` of a venv that was created at another path."""

import os
import re
import shlex
from pathlib import Path

from .files import write_file
from .script_line import OWN_PYTHON

_SIZE_LIMIT_BYTES = 1 << 20


def repair_scripts(venv: Path) -> None:
    """Make the scripts of a venv run with its own interpreter, wherever it was created.

    Args:
        venv: The venv.
    """
    former = _former_place(venv)
    for script in sorted((venv / "bin").iterdir()):
        if script.is_symlink() or not script.is_file() or script.stat().st_size > _SIZE_LIMIT_BYTES:
            continue
        try:
            text = script.read_bytes().decode("utf-8", "surrogateescape")
        except PermissionError:  # a script that this user cannot read, this user does not run
            continue
        found = _interpreter_of(text)
        if found is None:
            if script.name.startswith("activate") and former is not None:
                write_file(script, text.replace(str(former), str(venv)), script.stat().st_mode & 0o7777)
            continue
        interpreter, rest = found
        if not interpreter.exists() or (former is not None and former in interpreter.parents):
            write_file(script, OWN_PYTHON + rest, script.stat().st_mode & 0o7777)


def _former_place(venv: Path) -> Path | None:
    """Return the path that a venv was created at, if that is another one."""
    try:
        text = (venv / "bin" / "activate").read_text("utf-8", "surrogateescape")
    except OSError:
        return None
    found = re.search(r"^\s*(?:export )?VIRTUAL_ENV=(['\"]?)(/[^'\"\n]+)\1$", text, re.MULTILINE)
    if found is None or Path(found.group(2)) == venv or len(Path(found.group(2)).parts) < 2:
        return None
    return Path(found.group(2))


def _interpreter_of(script: str) -> tuple[Path, str] | None:
    """Return the Python that a script names by path, and the text after the lines that name it."""
    found = re.match(r"#!(/[^\s]*)(?:[ \t][^\n]*)?\n", script)
    path = found.group(1) if found else None
    if path in (None, "/bin/sh"):  # a path with a space, or too long for the kernel: a command of sh
        found = re.match(
            r"#!/bin/sh\n(?:# coding: [^\n]*\n)?'''exec' ([^\n]+) \"\$0\" \"\$@\"\n' '''\n", script
        )
        path = _word(found.group(1)) if found else None
    if found is None or path is None or not re.fullmatch(r"/.*/(?:python|pypy)[0-9.]*", path, re.DOTALL):
        return None
    return Path(path), script[found.end() :]


def _word(quoted: str) -> str | None:
    """Return the word that sh makes of a path as pip and uv write it."""
    if quoted.startswith('"$(printf %b '):  # uv, in a script with an encoding: the octal numbers of its bytes
        numbers = re.findall(r"'\\'0([0-7]{3})", quoted)
        return os.fsdecode(bytes(int(number, 8) & 0xFF for number in numbers))
    try:
        (word,) = shlex.split(quoted)
    except ValueError:
        return None
    return word
