"""Compiles the sources of a layer with an interpreter of its minor version.

The bytecode is valid whatever the sources' times are (`unchecked-hash`). It is the same wherever it is
compiled: it names each source by its path in the layer, which the importer corrects when it loads a file.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from layers.child import run_children
from layers.errors import LayerInterpreterError

_TIMEOUT_S = 60
_DESCRIBE = (
    "import sys; print('%d.%d %d.%d.%d' % (sys.version_info[:2] + sys.version_info[:3]), "
    "sys.implementation.cache_tag)"
)
# Standard input: SOURCE, TARGET and LABEL of each source. A source that does not compile (a template, code
# for another Python) is not an error. Bytecode of Python 3.10 depends on what the process compiled before.
_WORKER = """\
import os, py_compile, sys, warnings
warnings.simplefilter("ignore")
def compile_source(source, target, label):
    try:
        py_compile.compile(source, target, label, False, quiet=2,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    except (RecursionError, MemoryError):
        pass
    except OSError as error:
        if error.filename != source:
            raise
for line in sys.stdin.buffer.read().decode("utf-8", "surrogateescape").split("\\n")[:-1]:
    if sys.version_info >= (3, 11):
        compile_source(*line.split("\\0"))
    elif os.fork() == 0:
        compile_source(*line.split("\\0"))
        os._exit(0)
    elif os.wait()[1] != 0:
        sys.exit("compiling %r failed" % line)
"""


def find_python(minor: str, named: Path | None) -> Path | None:
    """Find an interpreter of a minor version.

    Args:
        minor: Such as `3.12`.
        named: The interpreter that the caller names, or None to look for one.

    Returns:
        Its path; None if there is none here.

    Raises:
        LayerInterpreterError: The named one does not run, or has another minor version.
    """
    if named is not None:
        found = _describe(named)
        if found[:1] != [minor]:
            raise LayerInterpreterError(
                f"{named}: is {f'Python {found[1]}' if found else 'not a Python that runs'}; name a "
                f"Python {minor}, which the layer is for"
            )
        return named
    candidates = [Path(sys.executable)] if f"{sys.version_info[0]}.{sys.version_info[1]}" == minor else []
    on_path = shutil.which(f"python{minor}")
    candidates += [] if on_path is None else [Path(on_path)]
    return next((path for path in candidates if _describe(path)[:1] == [minor]), None)


def _describe(python: Path) -> list[str]:
    """Return minor version, version and cache tag of an interpreter; nothing if it does not run."""
    try:
        done = subprocess.run(
            [str(python), "-I", "-S", "-B", "-c", _DESCRIBE],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split() if done.returncode == 0 else []


def compile_sources(layer: Path, packages: Path, python: Path) -> None:
    """Compile all sources of a layer.

    Args:
        layer: The layer.
        packages: Its site-packages.
        python: The interpreter.

    Raises:
        LayerInterpreterError: The interpreter failed.
        OSError: The bytecode cannot be written.
    """
    tag = _describe(python)[2]
    lines = []
    for source in sorted(packages.rglob("*.py")):
        if source.is_file() and "\n" not in str(source) and "\r" not in str(source):
            target = source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc"
            lines.append(f"{source}\0{target}\0{source.relative_to(layer)}\n")
    workers = min(os.cpu_count() or 1, len(lines), 16)
    parts = ["".join(lines[at::workers]) for at in range(workers)]
    # -S, and `/` as the folder: only the standard library is imported. Not -I: it ignores PYTHONHASHSEED.
    ended = run_children(
        [str(python), "-S", "-B", "-s", "-c", _WORKER],
        [part.encode("utf-8", "surrogateescape") for part in parts],
        variables={"PYTHONHASHSEED": "0", "PATH": os.defpath},
        folder="/",
    )
    for one in ended:
        if one.code != 0:
            said = one.said.strip().splitlines()[-1:]
            if said and ("[Errno 28]" in said[0] or "[Errno 122]" in said[0]):
                raise OSError(28, said[0])
            raise LayerInterpreterError(f"{python}: cannot compile the layer: {' '.join(said)}")
