"""Copies the base's package metadata into the venv, so that pip and uv know there what the base has.

pip looks for installed distributions on sys.path, uv in the venv only. So the venv gets a copy of the
metadata, without the files. Installing another version replaces the copy, and hides the base's package.
"""

import contextlib
import os
import shutil
from importlib.metadata import PathDistribution
from pathlib import Path

from .distributions import INSTALLER, Distribution, distributions, is_copy, is_torn_copy
from .files import NEW, naming, remove, write_file
from .layout import LIBRARY
from .script_line import OWN_PYTHON

COMMAND_MARK = "# a command of the base, by monobase"
_SHEBANG_LIMIT_BYTES = 8192  # of a script: its interpreter's path, and the mark behind it


def remove_copies(venv: Path, theirs: dict[str, Distribution], own: dict[str, Distribution]) -> set[str]:
    """Remove outdated copies. Current copies stay, as another process may use them.

    Args:
        venv: The venv.
        theirs: The distributions of the base, by name.
        own: Those of the venv.

    Returns:
        The names of the distributions whose copies stay.
    """
    kept, commands = set(), set()
    for copy in distributions(venv / LIBRARY):
        if not copy.folder.is_dir() or not (is_copy(copy) or is_torn_copy(copy, theirs)):
            continue
        recorded = _recorded(copy)
        of_copy = {path.name for path in recorded if path.parent.name == "bin"}
        if copy.name not in own and _is_current(copy, theirs.get(copy.name), recorded):
            kept.add(copy.name)
            commands |= of_copy
            continue
        for name in of_copy:
            _remove_command(venv / "bin" / name)
        remove(copy.folder)
    for script in (
        venv / "bin"
    ).iterdir():  # of copies that an installer removed without reading their RECORD
        if script.name not in commands and script.is_file() and not script.is_symlink():
            _remove_command(script)
    return kept


def _recorded(distribution: Distribution) -> list[Path]:
    try:
        lines = (distribution.folder / "RECORD").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [distribution.folder.parent / line.partition(",")[0] for line in lines]


def _is_current(copy: Distribution, below: Distribution | None, recorded: list[Path]) -> bool:
    if below is None or below.folder.name != copy.folder.name or not recorded:
        return False
    try:
        same = (copy.folder / "METADATA").read_bytes() == (below.folder / "METADATA").read_bytes()
    except OSError:
        return False
    return same and all(path.exists() for path in recorded)


def _remove_command(script: Path) -> None:
    with contextlib.suppress(FileNotFoundError, PermissionError):
        with script.open("rb") as file:
            is_ours = COMMAND_MARK.encode() in file.read(_SHEBANG_LIMIT_BYTES)
        if is_ours:
            script.unlink()


def add_copies(
    venv: Path, theirs: dict[str, Distribution], own: dict[str, Distribution], kept: set[str]
) -> dict[str, Path]:
    """Copy the metadata that the venv lacks, with the commands of the base.

    Args:
        venv: The venv.
        theirs: The distributions of the base, by name.
        own: Those of the venv.
        kept: The names of the distributions that have a copy.

    Returns:
        The files whose absence shows that an installer has changed the venv since, by a name for each.
    """
    watched = {}
    for distribution in theirs.values():
        if distribution.folder.suffix != ".dist-info" or not (distribution.folder / "METADATA").is_file():
            continue
        if distribution.name in own:
            watched[f"own-{distribution.name}"] = own[distribution.name].folder
        else:
            if distribution.name not in kept:
                _copy(venv, distribution)
            watched[distribution.name] = venv / LIBRARY / distribution.folder.name / "INSTALLER"
    return watched


def _copy(venv: Path, distribution: Distribution) -> None:
    packages = venv / LIBRARY
    final = packages / distribution.folder.name
    new = packages / f"{NEW}-{distribution.name}"
    with naming(final):
        remove(new)
        new.mkdir()
        record = []
        for name in ("METADATA", "WHEEL", "entry_points.txt", "top_level.txt"):
            if (distribution.folder / name).is_file():
                shutil.copyfile(distribution.folder / name, new / name)
                record.append(f"{final.name}/{name}")
        (new / "INSTALLER").write_text(f"{INSTALLER}\n")
    for command, value in _commands(distribution):
        if _write_command(venv, command, value):
            record.append(f"../../../bin/{command}")
    record += [f"{final.name}/INSTALLER", f"{final.name}/RECORD"]
    with naming(final):
        (new / "RECORD").write_text("".join(f"{path},,\n" for path in record))
        if os.path.lexists(final):
            remove(final)
        new.rename(final)


def _commands(distribution: Distribution) -> list[tuple[str, str]]:
    """Return the commands of a distribution; none if their list cannot be read."""
    try:
        points = list(PathDistribution(distribution.folder).entry_points)
    except (ValueError, AttributeError, OSError):
        return []
    return [
        (point.name, point.value)
        for point in points
        if point.group == "console_scripts" and "/" not in point.name
    ]


def _write_command(venv: Path, name: str, value: str) -> bool:
    """Write a command of the base that the venv's interpreter runs, so that it sees the venv's packages."""
    script = venv / "bin" / name
    if os.path.lexists(script):
        return False
    module, _, function = value.partition("[")[0].strip().partition(":")
    if not module or not function:
        return False
    code = (
        f"{COMMAND_MARK}\nimport sys\nfrom {module} import {function.partition('.')[0]}\n"
        f"sys.exit({function}())\n"
    )
    write_file(script, OWN_PYTHON + code, 0o755)
    return True
