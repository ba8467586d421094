"""Prepares a virtual environment of the user on top of an environment of the prefix.

    BASE/bin/python -I -B prepare_venv.py VENV BASE

activate.sh runs it at the first start, and again when what it wrote no longer stands as it left it. It runs
with the Python of the environment, so it asks for no more than Python 3.10 and its standard library.

It can end at any instruction: a file or folder is made under a name that begins with `.monobase-new`, and
renamed; the mark `.monobase`, which tells later starts that nothing is to be done, goes first and comes back
last; the next preparation clears what a killed one has left. One process prepares at a time: it locks the
folder of the venv itself, which needs no file and no write access.
"""

import _imp  # the suffix of extension modules, without the cost of sysconfig
import ast
import contextlib
import errno
import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
import venv as standard_venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PathDistribution
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import StrOrBytesPath

CODE_CANNOT_PREPARE = 73
LOCK_WAIT_S = 120.0
MARK = ".monobase"
MARK_FORMAT = "2"
WATCHED = ".monobase-watched"
NOTE = ".monobase-note"
NEW = ".monobase-new"
INSTALLER = "monobase"  # in INSTALLER of each copy of metadata
COMMAND_MARK = "# a command of the base, by monobase"
HOOK = "_monobase_base.py"
PYTHON = f"python{sys.version_info[0]}.{sys.version_info[1]}"
LIBRARY = f"lib/{PYTHON}/site-packages"
_ABI = _imp.extension_suffixes()[0]
_PROBE = "import _imp; print(_imp.extension_suffixes()[0])"
_PROBE_LIMIT_S = 60
_LOCK_REFUSED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF, errno.EINVAL}
_SCRIPT_LIMIT_BYTES = 1 << 20
_SHEBANG_LIMIT_BYTES = 8192  # of a script: its interpreter's path, and the mark behind it


class PreparationError(Exception):
    """The venv cannot be prepared.

    Attributes:
        summary: What happened, with the path.
        advice: What to do, a line each.
    """

    def __init__(self, summary: str, *advice: str) -> None:
        super().__init__(summary)
        self.summary = summary
        self.advice = advice


@dataclass(frozen=True)
class Package:
    """An installed distribution, by its `.dist-info` folder.

    Attributes:
        folder: The folder, or the file where an old tool left one.
        name: Its normalized name.
        version: Its version.
    """

    folder: Path
    name: str
    version: str


def main(arguments: Sequence[str]) -> int:
    """Prepare a venv; say on stderr why not.

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
    if _is_marked(venv, base) and (venv / LIBRARY / HOOK).is_file() and has_interpreter(venv):
        _say("warning", f"{problem}; going on with {venv} as it is: its list of the base's packages has gaps")
        return 0
    lines = [
        f"monobase: error: {problem}",
        f"    MONOBASE_USER_VENV (or else VIRTUAL_ENV) names it as the venv on top of {base}.",
        *(f"    {line}" for line in advice),
        (
            "    Give an empty or absent folder that this user can write to, or a venv of this Python; "
            "empty for none."
        ),
    ]
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    return CODE_CANNOT_PREPARE


def prepare(venv: Path, base: Path, *, lock_wait_s: float = LOCK_WAIT_S) -> None:
    """Let a venv see the packages of an environment; make it where there is none.

    Args:
        venv: The venv, or an empty or absent folder.
        base: The environment.
        lock_wait_s: How long to wait for another process that prepares the same venv.

    Raises:
        PreparationError: It cannot be.
        OSError: It cannot be, and the error names the file.
    """
    _refuse_place(venv, base)
    if not venv.is_dir() and not venv.is_symlink() and not venv.exists():
        venv.mkdir(parents=True, exist_ok=True)
    if not venv.is_dir():
        raise PreparationError(f"{venv} is not a virtual environment: it has no pyvenv.cfg.")
    with _alone(venv, lock_wait_s):
        if is_prepared(venv, base):
            return
        try:
            _prepare_alone(venv, base)
        except BaseException:
            with contextlib.suppress(OSError):  # a full disk gets back what was made aside
                _clear_leftovers(venv)
            raise


def is_prepared(venv: Path, base: Path) -> bool:
    """Tell whether what a preparation wrote still stands as it left it; activate.sh asks the same.

    Args:
        venv: The venv.
        base: The environment that it is to be prepared for.
    """
    try:
        watched = list((venv / WATCHED).iterdir())
    except OSError:
        return False
    noted = (venv / NOTE).exists() or not _folders_of_both(venv, base)
    return _is_marked(venv, base) and noted and bool(watched) and all(path.exists() for path in watched)


def _is_marked(venv: Path, base: Path) -> bool:
    try:
        return (venv / MARK).read_text() == f"{MARK_FORMAT} {base}\n"
    except (OSError, UnicodeDecodeError):
        return False


def _prepare_alone(venv: Path, base: Path) -> None:
    _make(venv, base)
    packages = venv / LIBRARY
    if not packages.is_dir():
        raise _other_python(venv)
    if (venv / MARK).exists():  # (removing what is not there fails too where nothing may be written)
        (venv / MARK).unlink()
    _clear_leftovers(venv)
    mend_interpreter(venv, base)
    mend_place(venv)
    theirs = installed(base / LIBRARY)
    own = {
        name: package for name, package in installed(packages).items() if not _is_torn_copy(package, theirs)
    }
    kept = _remove_copies(venv, theirs, own)
    watched = _add_copies(venv, theirs, own, kept)
    _write_hook(packages, base)
    _write_note(venv, base, theirs, own)
    _watch(venv, watched)
    write_file(venv / MARK, f"{MARK_FORMAT} {base}\n")


def _refuse_place(venv: Path, base: Path) -> None:
    # What the installer sealed is never written to, whatever mount would let us.
    generations = Path(os.path.realpath(base)).parent.parent
    prefix = generations if generations.parent == Path("/") else generations.parent
    place = Path(os.path.realpath(venv))
    if place == prefix or prefix in place.parents:
        raise PreparationError(f"{venv} lies in the prefix {prefix}, which only the installer writes to.")
    if (venv / "conda-meta").is_dir():
        raise PreparationError(f"{venv} is a conda environment, and no virtual environment of Python's venv.")


def _problem_of(venv: Path, error: OSError) -> str:
    path = Path(os.fsdecode(error.filename2 or error.filename or venv))
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        reason += _room_near(path)
    return f"{venv} cannot be prepared: {path}: {reason}"


def _room_near(path: Path) -> str:
    for place in (path, *path.parents):
        with contextlib.suppress(OSError):
            room = os.statvfs(place)
            return f" ({room.f_bavail * room.f_frsize:,} bytes and {room.f_favail:,} inodes are free)"
    return ""


# --- one at a time --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _alone(venv: Path, wait_s: float) -> Iterator[None]:
    descriptor = os.open(venv, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(descriptor, venv, wait_s)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, venv: Path, wait_s: float) -> None:
    end = time.monotonic() + wait_s
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno not in _LOCK_REFUSED:
                raise
            return  # a file system without locks: as before there were any
        else:
            return
        if time.monotonic() >= end:
            raise PreparationError(
                f"{venv} cannot be prepared: another process has held its lock for {wait_s:.0f} s.",
                "Another start prepares it, or something else has locked the folder (flock).",
            )
        if not told:
            _say("warning", f"another start prepares {venv}; waiting up to {wait_s:.0f} s for it")
            told = True
        time.sleep(0.05)


def _say(level: str, text: str) -> None:
    shown = {"debug": 0, "info": 1, "warning": 2, "error": 3}
    if shown[level] >= shown.get(os.environ.get("MONOBASE_LOG_LEVEL") or "warning", 2):
        sys.stderr.write(f"monobase: {level}: {text}\n")
        sys.stderr.flush()


# --- files, made aside ----------------------------------------------------------------------------------


def write_file(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file under another name, and rename it.

    Args:
        path: Its final path.
        text: What it holds; surrogates stand for bytes that are no UTF-8.
        mode: Its permissions.

    Raises:
        OSError: With the final path as its file name: a failed write by itself names none.
    """
    new = path.with_name(f"{NEW}-{path.name}")
    with naming(path):
        new.write_text(text, encoding="utf-8", errors="surrogateescape")
        new.chmod(mode)
        new.replace(path)


def link(path: Path, target: str) -> None:
    """Make a symbolic link, in place of what is there.

    Args:
        path: The link.
        target: What it leads to.
    """
    new = path.with_name(f"{NEW}-{path.name}")
    with naming(path):
        new.unlink(missing_ok=True)
        new.symlink_to(target)
        new.replace(path)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the system name the file that the user knows.

    Args:
        path: The file.

    Raises:
        OSError: The error, with that name.
    """
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _clear_leftovers(venv: Path) -> None:
    for folder in (venv, venv / "bin", venv / LIBRARY):
        for left in folder.glob(f"{NEW}*"):
            _remove(left)


# --- the venv itself ------------------------------------------------------------------------------------


class _Maker(standard_venv.EnvBuilder):
    """Makes a venv in one place whose scripts name another, with the base's own interpreter."""

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


def interpreter_of(base: Path) -> Path:
    """Give the interpreter that an environment was made with.

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


def _make(venv: Path, base: Path) -> None:
    """Make the venv in an empty folder; what a killed making has left counts as empty.

    It is made in a folder inside, as the venv's own may be a mount, and moved out part by part, pyvenv.cfg
    last.
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
            _remove(venv / name)
    _remove(new)
    with naming_in(venv):
        _Maker(venv, interpreter_of(base)).create(new)
    config = new / "pyvenv.cfg"
    with naming_in(venv):
        config.write_text(config.read_text().replace(str(new), str(venv)))
    for name in parts:
        if os.path.lexists(new / name):
            (new / name).rename(venv / name)
    config.rename(venv / "pyvenv.cfg")
    _remove(new)


@contextlib.contextmanager
def naming_in(path: Path) -> Iterator[None]:
    """Let an error of the system name the file that the user knows, where a venv is made in a folder inside.

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


def _other_python(venv: Path) -> PreparationError:
    python = venv / "bin" / "python"
    advice = []
    if python.is_symlink():
        advice.append(f"Its {python} leads to {os.path.realpath(python)}.")
    others = sorted(path.parent.name for path in venv.glob("lib/python*/site-packages"))
    if others:
        advice.append(f"It is for {', '.join(others)}: set PYTHON_VERSION so, or make it with {PYTHON}.")
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return PreparationError(f"{venv} is not for Python {version}: it has no {LIBRARY}.", *advice)


def mend_interpreter(venv: Path, base: Path) -> None:
    """Let `bin/python` be an interpreter that runs and that the packages of both sides are for.

    A venv from another image has an interpreter that this one lacks, or has as another version. One that
    runs, and is of the same kind as the base's, stays.

    Args:
        venv: The venv.
        base: The environment.

    Raises:
        PreparationError: It cannot be.
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
            f"Its {python}{f' leads to {was}, which' if was else ''} is no {PYTHON} that runs here; "
            f"it was to be linked to {interpreter}.",
        ) from error
    if not has_interpreter(venv):
        raise PreparationError(f"{python} does not run, though it was linked to {interpreter}.")
    _say("info", f"{python}{f' led to {was}; it' if was else ''} is linked to {interpreter} now")


def has_interpreter(venv: Path) -> bool:
    """Tell whether a venv has an interpreter that runs and is of the base's kind.

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
    """Give a pyvenv.cfg that names another interpreter."""
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


def mend_place(venv: Path) -> None:
    """Let the scripts of a venv that was made at another path run with its own interpreter.

    Args:
        venv: The venv.
    """
    former = _former_place(venv)
    for script in sorted((venv / "bin").iterdir()):
        if script.is_symlink() or not script.is_file() or script.stat().st_size > _SCRIPT_LIMIT_BYTES:
            continue
        try:
            text = script.read_bytes().decode("utf-8", "surrogateescape")
        except PermissionError:  # what this user may not read he does not run either
            continue
        found = _interpreter_of(text)
        if found is None:
            if script.name.startswith("activate") and former is not None:
                write_file(script, text.replace(str(former), str(venv)), script.stat().st_mode & 0o7777)
            continue
        interpreter, rest = found
        if not interpreter.exists() or (former is not None and former in interpreter.parents):
            write_file(script, _shebang(venv) + rest, script.stat().st_mode & 0o7777)


def _former_place(venv: Path) -> Path | None:
    """Give the path that a venv was made at, where it is another one."""
    try:
        text = (venv / "bin" / "activate").read_text("utf-8", "surrogateescape")
    except OSError:
        return None
    found = re.search(r"^\s*(?:export )?VIRTUAL_ENV=(['\"]?)(/[^'\"\n]+)\1$", text, re.MULTILINE)
    if found is None or Path(found.group(2)) == venv or len(Path(found.group(2)).parts) < 2:
        return None
    return Path(found.group(2))


def _interpreter_of(script: str) -> tuple[Path, str] | None:
    """Give the Python that a script names by path, if any, and what follows its first line or lines."""
    found = re.match(r"#!(/[^\s]*/(?:python|pypy)[0-9.]*)(?:[ \t][^\n]*)?\n", script) or re.match(
        r"#!/bin/sh\n'''exec' ['\"]?(/[^'\"\n]*/(?:python|pypy)[0-9.]*)['\"]? \"\$0\" \"\$@\"\n' '''\n",
        script,
    )
    return (Path(found.group(1)), script[found.end() :]) if found else None


def _shebang(venv: Path) -> str:
    quoted = str(venv / "bin" / "python").replace("'", "'\\''")
    return f"#!/bin/sh\n'''exec' '{quoted}' \"$0\" \"$@\"\n' '''\n"


# --- what both installers know of the base --------------------------------------------------------------


def normalized(name: str) -> str:
    """Give the form of a project's name that names are compared in."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(library: Path) -> dict[str, Package]:
    """Find what is installed in a folder, whatever state its metadata is in; copies of ours are not.

    Args:
        library: A site-packages.

    Returns:
        The distributions by normalized name.
    """
    return {package.name: package for package in _distributions(library) if not _is_copy(package)}


def _distributions(library: Path) -> list[Package]:
    found = []
    for path in sorted(library.iterdir()):
        stem, dot, kind = path.name.rpartition(".")
        if not dot or kind not in ("dist-info", "egg-info", "egg-link") or path.name.startswith(NEW):
            continue
        name, version = [*re.sub(r"-py\d[\d.]*$", "", stem).rsplit("-", 1), ""][:2]
        found.append(Package(path, normalized(name), version))
    return found


def _is_copy(package: Package) -> bool:
    try:
        return (package.folder / "INSTALLER").read_text().strip() == INSTALLER
    except (OSError, UnicodeDecodeError):
        return False


def _is_torn_copy(package: Package, theirs: dict[str, Package]) -> bool:
    """Whether a runtime before this one was killed while it copied: then nothing says whose the folder is."""
    base = theirs.get(package.name)
    return (
        base is not None
        and base.folder.name == package.folder.name
        and not any((package.folder / name).exists() for name in ("METADATA", "INSTALLER", "RECORD"))
    )


def _remove_copies(venv: Path, theirs: dict[str, Package], own: dict[str, Package]) -> set[str]:
    """Remove the copies that are no longer right; give the names of those that are.

    What is right stays in its place: another process may run with it.
    """
    kept, commands = set(), set()
    for package in _distributions(venv / LIBRARY):
        if not package.folder.is_dir() or not (_is_copy(package) or _is_torn_copy(package, theirs)):
            continue
        recorded = _recorded(package)
        if package.name not in own and _is_current(package, theirs.get(package.name), recorded):
            kept.add(package.name)
            commands |= {path.name for path in recorded if path.parent.name == "bin"}
            continue
        for path in recorded:
            if path.parent.name == "bin":
                _remove_command(venv / "bin" / path.name)
        _remove(package.folder)
    for script in (venv / "bin").iterdir():  # of copies that others have removed without reading their RECORD
        if script.name not in commands and script.is_file() and not script.is_symlink():
            _remove_command(script)
    return kept


def _recorded(package: Package) -> list[Path]:
    try:
        lines = (package.folder / "RECORD").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [package.folder.parent / line.partition(",")[0] for line in lines]


def _is_current(copy: Package, below: Package | None, recorded: list[Path]) -> bool:
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


def _add_copies(
    venv: Path, theirs: dict[str, Package], own: dict[str, Package], kept: set[str]
) -> dict[str, Path]:
    """Copy the metadata that the venv lacks; give what tells that it was taken away, by a name for it.

    pip looks at sys.path for what is installed already, uv only into the venv: it gets a copy of the
    metadata, without the files. Installing another version replaces the copy, and the base's package is
    hidden by the new one.
    """
    watched = {}
    for package in theirs.values():
        if package.folder.suffix != ".dist-info" or not (package.folder / "METADATA").is_file():
            continue
        if package.name in own:
            watched[f"own-{package.name}"] = own[package.name].folder
        else:
            if package.name not in kept:
                _copy(venv, package)
            watched[package.name] = venv / LIBRARY / package.folder.name / "INSTALLER"
    return watched


def _copy(venv: Path, package: Package) -> None:
    packages = venv / LIBRARY
    final = packages / package.folder.name
    new = packages / f"{NEW}-{package.name}"
    with naming(final):
        _remove(new)
        new.mkdir()
        record = []
        for name in ("METADATA", "WHEEL", "entry_points.txt", "top_level.txt"):
            if (package.folder / name).is_file():
                shutil.copyfile(package.folder / name, new / name)
                record.append(f"{final.name}/{name}")
        (new / "INSTALLER").write_text(f"{INSTALLER}\n")
    for command, value in _commands(package):
        if _write_command(venv, command, value):
            record.append(f"../../../bin/{command}")
    record += [f"{final.name}/INSTALLER", f"{final.name}/RECORD"]
    with naming(final):
        (new / "RECORD").write_text("".join(f"{path},,\n" for path in record))
        if os.path.lexists(final):
            _remove(final)
        new.rename(final)


def _commands(package: Package) -> list[tuple[str, str]]:
    """Read the commands of a distribution; one whose list cannot be read has none."""
    try:
        points = list(PathDistribution(package.folder).entry_points)
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
    write_file(script, _shebang(venv) + code, 0o755)
    return True


# --- what Python does at its start ----------------------------------------------------------------------

_HOOK_TEXT = '''\
"""Written by monobase: lets this venv see the packages of the environment below it, after its own."""

import os
import site
import sys

PREPARED_FOR = {base!r}
LIBRARY = {library!r}
# Packages of the environment that several distributions share, or that have no __init__.py.
SHARED = {shared!r}

# A process that activate.sh has activated sees the environment that the rest of its variables are for, though
# the venv may have been prepared for another one since.
_library = os.path.join(PREPARED_FOR, LIBRARY)
if os.environ.get("VIRTUAL_ENV") == sys.prefix:
    _activated = os.path.join(os.environ.get("MONOBASE_ENVIRONMENT") or PREPARED_FOR, LIBRARY)
    if os.path.isdir(_activated):
        _library = _activated


class SharedPackages:
    """Joins the parts of a shared package, which Python does only where none of them has an __init__.py."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in SHARED:
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.origin is None or spec.submodule_search_locations is None:
            return spec
        found = list(spec.submodule_search_locations)
        base = os.path.join(_library, *name.split("."))
        parts = []
        for entry in sys.path if path is None else path:
            part = os.path.join(entry, name.rpartition(".")[2])
            known = part in found or part == base
            if part not in parts and os.path.isdir(part):
                if known or not os.path.exists(os.path.join(part, "__init__.py")):
                    parts.append(part)
        spec.submodule_search_locations[:] = parts + [part for part in found if part not in parts]
        return spec


if SHARED:
    _names = [getattr(finder, "__name__", "") for finder in sys.meta_path]
    _place = _names.index("PathFinder") if "PathFinder" in _names else len(_names)
    sys.meta_path.insert(_place, SharedPackages)
site.addsitedir(_library)
'''


def _write_hook(packages: Path, base: Path) -> None:
    shared = shared_packages(base / LIBRARY)
    # No placeholder but these stands in the text: str.format would choke on its braces.
    text = _HOOK_TEXT
    for name, value in (("base", str(base)), ("library", LIBRARY), ("shared", shared)):
        text = text.replace(f"{{{name}!r}}", ascii(value))
    write_file(packages / HOOK, text)
    write_file(packages / "monobase.pth", f"import {HOOK.partition('.')[0]}\n")


def shared_packages(library: Path) -> list[str]:
    """Find the packages that several distributions may share: a regular one in front would hide them.

    A package without an `__init__.py` is one; so is one with an `__init__.py` that does nothing, if more than
    one distribution puts files into it (`nvidia` of most releases, `google` of old ones).

    Args:
        library: A site-packages.

    Returns:
        Their names, with dots.
    """
    records = [
        "\n" + record.read_text("utf-8", "surrogateescape") for record in library.glob("*.dist-info/RECORD")
    ]
    found: list[str] = []
    _add_shared(library, (), records, found)
    return found


def _add_shared(folder: Path, above: tuple[str, ...], records: list[str], found: list[str]) -> None:
    for child in sorted(folder.iterdir()):
        if not child.name.isidentifier() or child.name == "__pycache__" or not child.is_dir():
            continue
        parts = (*above, child.name)
        start = "/".join(parts) + "/"
        owners = sum(f"\n{start}" in record or f'\n"{start}' in record for record in records)
        inits = [path for path in child.glob("__init__.*") if path.suffix != ".pyc"]
        if inits:
            is_shared = owners > 1 and all(path.suffix == ".py" and _does_nothing(path) for path in inits)
        else:
            is_shared = not above or owners > 1 or any(child.glob("*.py")) or any(child.glob("*/__init__.py"))
        if is_shared:
            found.append(".".join(parts))
            _add_shared(child, parts, records, found)


def _does_nothing(init: Path) -> bool:
    try:
        text = init.read_text()
        if "extend_path" in text or "declare_namespace" in text:
            return True
        return all(
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            for node in ast.parse(text).body
        )
    except (OSError, ValueError, SyntaxError):
        return False


# --- which of two libraries counts ----------------------------------------------------------------------


def _write_note(venv: Path, base: Path, theirs: dict[str, Package], own: dict[str, Package]) -> None:
    """Write which CUDA libraries both sides have, in another version: a line that activate.sh shows.

    It is there, and empty, where both have the same; absent where only one side has any.
    """
    both = _folders_of_both(venv, base)
    note = venv / NOTE
    if not both:
        note.unlink(missing_ok=True)
        return
    pairs = []
    for name in sorted(own):
        folder = _part_of(own[name], both)
        if folder is None:
            continue
        below = theirs.get(name) or next((it for it in theirs.values() if _part_of(it, {folder})), None)
        if below is not None and (below.name, below.version) != (name, own[name].version):
            pairs.append(f"{below.name} {below.version} (not {name} {own[name].version}, which pip shows)")
    write_file(note, ", ".join(pairs) + "\n" if pairs else "")


def _folders_of_both(venv: Path, base: Path) -> set[str]:
    library = venv / LIBRARY
    folders = {
        folder.parent.relative_to(library) for folder in library.glob("nvidia/*/lib") if folder.is_dir()
    }
    return {f"{folder.as_posix()}/" for folder in folders if (base / LIBRARY / folder / "lib").is_dir()}


def _part_of(package: Package, folders: set[str]) -> str | None:
    try:
        record = "\n" + (package.folder / "RECORD").read_text("utf-8", "surrogateescape")
    except OSError:
        return None
    return next((folder for folder in sorted(folders) if f"\n{folder}lib/" in record), None)


# --- what later starts look at --------------------------------------------------------------------------


def _watch(venv: Path, watched: dict[str, Path]) -> None:
    """Make a folder of links to what must be there: activate.sh sees what has gone without reading a file."""
    new = venv / f"{NEW}-watched"
    watched = watched | {
        "+python": venv / "bin" / "python",
        "+hook": venv / LIBRARY / HOOK,
        "+path": venv / LIBRARY / "monobase.pth",
    }
    with naming(venv / WATCHED):
        _remove(new)
        new.mkdir()
        for name, path in watched.items():
            (new / name).symlink_to(Path("..") / path.relative_to(venv))
        _remove(venv / WATCHED)
        new.rename(venv / WATCHED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
