"""Installs, checks and repairs the interpreters that uv manages, as trees with manifests.

`uv/python/.NAME.complete` is the manifest of `uv/python/NAME/` (`daemon/prefix/manifest.py`): it marks the
folder as complete. It lists the bytecode of the standard library as well: models cannot write any on a
read-only mount, and a process of root, which could, finds what it would write. Earlier releases left the mark
empty.

An interpreter is made in `uv/python/.staging` and renamed. Where environments use an existing one, only the
files that differ are renamed into place: running models keep theirs.
"""

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from daemon.errors import DamageError, InterpreterError, PrefixError
from daemon.host.durability import sync_filesystem
from daemon.host.tree_walk import walk_files
from daemon.interpreters.compile_run import run_compile_worker
from daemon.interpreters.running_interpreter import Interpreter, describe, minor_of
from daemon.prefix.bytecode_list import bytecode_of
from daemon.prefix.finding import Finding, count_differences
from daemon.prefix.interpreter_folder import (
    interpreter_names,
    interpreter_staging,
    is_of_an_earlier_release,
    list_interpreter,
    publish_interpreter,
    write_interpreter_manifest,
)
from daemon.prefix.manifest import read_manifest
from daemon.prefix.mending import remove_extra
from daemon.prefix.prefix import Prefix
from daemon.prefix.staging import open_folders, remove_folders, set_file
from daemon.prefix.tree_check import Digests, verify_interpreter
from daemon.uv.program import PythonWay, Uv
from gens.errors import MonobaseError

_JOBS = min(4, len(os.sched_getaffinity(0)))
_MAX_PATCHED_BYTES = 1_000_000


def managed_interpreter(prefix: Prefix, version: str, warn: Callable[[str], None]) -> Interpreter | None:
    """Return the managed interpreter of a version, if it is undamaged and runs.

    Extra files in it are removed.

    Args:
        prefix: The prefix.
        version: Full version.
        warn: Called with each interpreter of the version that is not returned, and why.

    Raises:
        NewerFormatError: A newer release has written its manifest.
    """
    for name in interpreter_names(prefix.uv_python, version):
        mark = prefix.interpreter_manifest(name)
        if not mark.exists() or is_of_an_earlier_release(mark):
            continue  # its install was interrupted, or nothing lists its files
        with suppress(DamageError):  # `_differences` finds it as well
            read_manifest(mark)
        tree = prefix.interpreter(name)
        findings = _remove_extra(tree, _differences(prefix, name))
        if findings:
            warn(f"{tree}: is damaged: {count_differences(findings)}, such as {findings[0]}")
            continue
        try:
            return _run(tree, version)
        except InterpreterError as error:
            warn(f"{tree}: is undamaged, but does not run: {error}")
    return None


def make_interpreter(uv: Uv, version: str) -> Interpreter:
    """Install an interpreter with uv, or repair the existing one with what uv installed.

    Args:
        uv: How to run uv.
        version: Full version.

    Raises:
        MonobaseError: It cannot be downloaded, or does not run.
    """
    prefix = uv.prefix
    with interpreter_staging(prefix) as staging:
        made = _made_by_uv(uv, staging, version)
        _forget_the_staging(made)
        compile_library(_run(made, version), made, uv.inherit)
        manifest = list_interpreter(made)
        sync_filesystem(prefix.uv_python)
        publish_interpreter(prefix, made, manifest)
    return _run(prefix.interpreter(made.name), version)


def adopt_interpreter(uv: Uv, version: str, warn: Callable[[str], None]) -> Interpreter | None:
    """List the files of an interpreter of an earlier release, which kept no list, and return it.

    The files are taken as they are: this is for when no other interpreter can be downloaded.

    Args:
        uv: How to run uv.
        version: Full version.
        warn: Called with the interpreter.

    Returns:
        The interpreter; None when there is none that runs.
    """
    prefix = uv.prefix
    for name in interpreter_names(prefix.uv_python, version):
        tree = prefix.interpreter(name)
        if not is_of_an_earlier_release(prefix.interpreter_manifest(name)):
            continue
        try:
            interpreter = _run(tree, version)
        except InterpreterError:
            continue
        remove_folders(tree, "__pycache__")  # it may be anybody's
        compile_library(interpreter, tree, uv.inherit)
        manifest = list_interpreter(tree)
        sync_filesystem(prefix.uv_python)
        write_interpreter_manifest(prefix, name, manifest)
        warn(
            f"{tree}: an earlier release kept no list of its files, and none can be downloaded to compare "
            "with; its files are listed as they are now"
        )
        return interpreter
    return None


def compile_library(interpreter: Interpreter, tree: Path, inherit: Sequence[int] = ()) -> None:
    """Write the bytecode of an interpreter's library, beside its sources.

    Args:
        interpreter: The interpreter.
        tree: Its folder.
        inherit: Descriptors that the workers keep.

    Raises:
        InterpreterError: A worker ended with an error.
    """
    items = []
    sources = (path for path, status in walk_files(str(tree)) if not stat.S_ISLNK(status.st_mode))
    for source in sorted(path for path in sources if path.endswith(".py")):
        relative = os.path.relpath(source, tree)
        if not set("\t\n") & set(source):
            items.append((source, f"{tree}/{bytecode_of(relative, interpreter.cache_tag)}", relative))
    parts = [items[number::_JOBS] for number in range(_JOBS)]
    with ThreadPoolExecutor(_JOBS) as pool:
        list(pool.map(lambda part: run_compile_worker(interpreter, part, inherit), parts))


def _made_by_uv(uv: Uv, staging: Path, version: str) -> Path:
    variables = {
        "UV_PYTHON_INSTALL_DIR": str(staging),
        "UV_PYTHON_INSTALL_BIN": "0",
        "UV_HTTP_RETRIES": os.environ.get("UV_HTTP_RETRIES", "1"),
    }
    for number, way in enumerate(uv.downloads.python_ways, 1):
        try:
            if way is None:
                uv.reach("python", "install", version, variables=variables)
            else:
                _install_by(way, uv, version, variables)
            break
        except PrefixError:
            raise
        except MonobaseError as error:
            if number == len(uv.downloads.python_ways):
                raise (way and way.failure()) or error from error
    made = interpreter_names(staging, version)
    if len(made) != 1:
        raise InterpreterError(f"uv installed {len(made)} interpreters for Python {version} instead of one")
    return staging / made[0]


def _install_by(way: PythonWay, uv: Uv, version: str, variables: Mapping[str, str]) -> None:
    while True:
        try:
            uv.reach_loopback(
                "python", "install", version, configuration=None, variables={**variables, **way.variables}
            )
        except PrefixError:
            raise
        except MonobaseError:
            if not way.finds_wrong():  # each source can be found wrong once
                raise
        else:
            return


def _forget_the_staging(made: Path) -> None:
    """Replace the path of the staging folder, which uv has written into some files, by the final path."""
    here, final = f"/{made.parent.name}/{made.name}".encode(), f"/{made.name}".encode()
    for path, status in list(walk_files(str(made))):
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_PATCHED_BYTES:
            continue
        content = Path(path).read_bytes()
        if here in content and b"\0" not in content:
            set_file(Path(path), content.replace(here, final), stat.S_IMODE(status.st_mode))
    open_folders(made)


def _differences(prefix: Prefix, name: str) -> list[Finding]:
    findings: list[Finding] = []
    verify_interpreter(prefix, name, Digests(_JOBS), findings)
    return findings


def _remove_extra(tree: Path, findings: list[Finding]) -> list[Finding]:
    for finding in findings:
        if finding.kind == "extra":
            remove_extra(tree, finding.path)
    return [finding for finding in findings if finding.kind != "extra"]


def _run(tree: Path, version: str) -> Interpreter:
    minor = minor_of(version)
    interpreter = describe(tree / "bin" / f"python{minor}", managed=True)
    if interpreter.minor != minor:
        raise InterpreterError(f"{interpreter.executable}: is Python {interpreter.version}, not {version}")
    return interpreter
