"""Installs a layer: a venv with what a model adds to its base, complete when it appears.

Nothing of it depends on the time, the user, the folder, or the base's presence: the same lock gives the same
files. Only the bytecode depends on whether an interpreter of the minor version is there.
"""

import errno
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from layers.bytecode import compile_sources, find_python
from layers.commands import own_python, write_base_commands
from layers.errors import LayerDiskError, LayerUvError
from layers.folders import check_folders
from layers.layer_file import layer_file_of, write_layer_file
from layers.lock import LayerLock
from layers.overlay import write_overlay
from layers.own_names import check_names
from layers.record import contradictions, settle_records
from layers.staging import check_path, publish, staged
from layers.uv import WheelSources, install_wheels, room

DEFAULT_PREFIX = Path("/srv/r8/monobase")
_NOTE = ".monobase-note"
_STACK = re.compile(r"python[0-9.]+-(?!torch[0-9]).+")
# The oldest time that a zip file can hold: tools that pack a layer need no other.
_TIME_S = 315_532_800


@dataclass(frozen=True, slots=True)
class LayerOptions:
    """Options of an installation.

    Attributes:
        prefix: The prefix of the nodes that the layer will be on; nothing is read from it but, if the base is
            there, the path of its interpreter.
        sources: Where wheels come from.
        built: The folder of the wheels that were built for the lock (`wheels_directory`), or None.
        python: An interpreter to compile the sources with; None to look for one.
        warn: Called with each warning.
    """

    prefix: Path = DEFAULT_PREFIX
    sources: WheelSources = field(default_factory=WheelSources)
    built: Path | None = None
    python: Path | None = None
    warn: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class InstalledLayer:
    """A layer that was installed.

    Attributes:
        path: The layer.
        wheels: Number of wheels.
        size_bytes: Size of its files.
        compiled: Whether it has bytecode.
    """

    path: Path
    wheels: int
    size_bytes: int
    compiled: bool


def install_layer(lock: LayerLock, to: Path, options: LayerOptions) -> InstalledLayer:
    """Install a layer, in place of an empty folder or of another layer.

    Args:
        lock: The lock.
        to: The folder. A layer may be moved later.
        options: How.

    Returns:
        What was installed.

    Raises:
        LayerPlaceError: The folder cannot become a layer, or no model can have such a prefix.
        LayerWheelError: A wheel is not the one that the lock names.
        LayerIndexError: An index does not answer.
        LayerDiskError: The disk is full, or cannot be written to.
        LayerInterpreterError: The named interpreter does not fit.
        LayerUvError: uv failed.
    """
    to = to.resolve() if to.name == ".." else to.absolute()
    check_path(options.prefix)
    python = find_python(lock.python, options.python)
    if python is None:
        options.warn(
            f"there is no Python {lock.python} here: the layer gets no bytecode, and each start of a model "
            "compiles what it imports; install one, or name it with --python"
        )
    try:
        folders = check_folders(lock, options.sources.folders, options.built)
        sources = WheelSources(folders, options.sources.index_url, options.sources.offline)
        with staged(to) as stage:
            new = stage / "layer"
            size_bytes = _make(lock, new, sources, python, options)
            publish(new, to)
    except OSError as error:
        raise _disk_error(to, error) from error
    return InstalledLayer(to, len(lock.wheels), size_bytes, python is not None)


def _disk_error(to: Path, error: OSError) -> LayerDiskError:
    path = error.filename2 or error.filename or to
    free = room(Path(os.fsdecode(path))) if error.errno in {errno.ENOSPC, errno.EDQUOT} else ""
    return LayerDiskError(f"{os.fsdecode(path)}: {error.strerror or error}{free}; {to} was left as it was")


def _make(
    lock: LayerLock, layer: Path, sources: WheelSources, python: Path | None, options: LayerOptions
) -> int:
    """Make a layer in a folder that does not exist; return the size of its files."""
    base = options.prefix / "monobase" / lock.generation / lock.environment
    library = f"lib/python{lock.python}/site-packages"
    packages = layer / library
    layer.mkdir()
    (layer / "bin").mkdir()
    if lock.wheels:
        _install_wheels(lock, layer, packages, sources, options)
    else:
        packages.mkdir(parents=True)
    write_overlay(packages, base, library, [override.name for override in lock.overrides])
    if python is not None:
        compile_sources(layer, packages, python)
    write_base_commands(layer / "bin", base, lock.python, has_stack=bool(_STACK.fullmatch(lock.environment)))
    _write_venv(lock, layer, base, options.prefix)
    _write_note(lock, layer, packages)
    write_layer_file(layer, layer_file_of(lock))
    return _settle(layer)


def _install_wheels(
    lock: LayerLock, layer: Path, packages: Path, sources: WheelSources, options: LayerOptions
) -> None:
    made = install_wheels(lock, lock.wheels, layer, sources)
    both = contradictions(made)
    for path, owners in both.items():
        options.warn(
            f"{path}: {' and '.join(owners)} have it with different contents; that of {owners[-1]} is used"
        )
    # uv installs in parallel: which of several comes last is chance. So they are installed again, in order.
    for name in sorted({name for owners in both.values() for name in owners}):
        install_wheels(lock, [wheel for wheel in lock.wheels if wheel.name == name], layer, sources)
    found = made.parent.name
    moved = f"python{lock.python}"
    if found != moved:
        for folder in (layer / "lib", layer / "include" / "site"):
            if (folder / found).is_dir():
                _move(folder / found, folder / moved)
    check_names(lock, layer, packages)
    for cache_key in packages.glob("*.dist-info/uv_cache.json"):  # with the time of a wheel in a local folder
        cache_key.unlink()
    own_python(layer / "bin")
    settle_records(packages, (f"../../../include/site/{found}/", f"../../../include/site/{moved}/"))


def _move(folder: Path, to: Path) -> None:
    if not to.exists():
        folder.rename(to)
        return
    for child in folder.iterdir():  # a wheel has data there
        if (to / child.name).exists() and not (child.is_dir() and (to / child.name).is_dir()):
            raise LayerUvError(f"two wheels have {to / child.name}; lock another version of one")
        _move(child, to / child.name)
    folder.rmdir()


def _write_venv(lock: LayerLock, layer: Path, base: Path, prefix: Path) -> None:
    home, version = _interpreter_of(lock, base, prefix)
    name = f"python{lock.python}"
    links = {
        "python": str(base / "bin" / "python") if home is None else f"{home}/{name}",
        "python3": "python",
    }
    for link, target in {**links, name: "python"}.items():
        path = layer / "bin" / link
        path.unlink(missing_ok=True)
        path.symlink_to(target)
    if not (layer / "lib64").exists():
        (layer / "lib64").symlink_to("lib")
    # Without `home`, Pythons before 3.14 find their library by the link.
    lines = (
        [] if home is None else [f"home = {home}", "implementation = CPython", f"version_info = {version}"]
    )
    lines += ["include-system-site-packages = false", f"prompt = {lock.environment}"]
    (layer / "pyvenv.cfg").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _interpreter_of(lock: LayerLock, base: Path, prefix: Path) -> tuple[str | None, str]:
    """Return folder and version of the base's interpreter: as the base says if it is here, else as uv."""
    try:
        text = (base / "pyvenv.cfg").read_text(encoding="utf-8")
    except OSError:
        text = ""
    home = re.search(r"(?m)^home *= *(\S.*?) *$", text)
    version = re.search(r"(?m)^version(?:_info)? *= *(\S+) *$", text)
    if home is not None:
        return home[1], lock.python if version is None else version[1]
    if lock.python_full is not None:
        name = f"cpython-{lock.python_full}-linux-{lock.machine}-gnu"
        return str(prefix / "uv" / "python" / name / "bin"), lock.python_full
    return None, lock.python


def _write_note(lock: LayerLock, layer: Path, packages: Path) -> None:
    """Write the note of libraries of which the base's Torch loads its own, for `activation/libraries.sh`."""
    names = [wheel.name for wheel in lock.wheels]
    both = [it for it in lock.overrides if it.name.startswith("nvidia-") and it.version != it.base_version]
    if not (packages / "nvidia").is_dir() or "torch" in names or not both:
        return
    pairs = [f"{it.name} {it.base_version} (not {it.name} {it.version}, which pip shows)" for it in both]
    (layer / _NOTE).write_text(", ".join(pairs) + "\n", encoding="utf-8")


def _settle(layer: Path) -> int:
    """Set one time, and modes that depend on no umask, for all files; return the size of the files."""
    size_bytes = 0
    for folder, folders, files in os.walk(layer, topdown=False):
        for name in files:
            path = os.path.join(folder, name)  # noqa: PTH118 (of a whole tree)
            status = os.lstat(path)
            if stat.S_ISREG(status.st_mode):
                size_bytes += status.st_size
                os.chmod(path, 0o755 if status.st_mode & 0o100 else 0o644)  # noqa: PTH101
            os.utime(path, (_TIME_S, _TIME_S), follow_symlinks=False)
        for name in folders:
            path = os.path.join(folder, name)  # noqa: PTH118
            if os.path.islink(path):  # noqa: PTH114
                os.utime(path, (_TIME_S, _TIME_S), follow_symlinks=False)
        os.chmod(folder, 0o755)  # noqa: PTH101, S103
        os.utime(folder, (_TIME_S, _TIME_S))
    return size_bytes
