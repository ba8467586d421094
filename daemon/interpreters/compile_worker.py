"""Compiles Python sources; runs under the interpreter of an environment, with its standard library alone.

It reads lines `SOURCE<nul>TARGET<nul>LABEL`, and writes `TARGET` for each source that compiles. A source that
does not compile (a template, code for another Python) is not an error: the interpreter will compile or refuse
it when it is imported. LABEL replaces the source's path in the bytecode, and the importer corrects it when it
loads a file (`_fix_co_filename`): so each environment can use the same bytes.
"""

import os
import py_compile
import sys
import warnings

_NICENESS = 5  # uv comes first: a link that has waited for a processor cannot catch up, and compiling can


def main() -> None:
    """Compile the sources that standard input lists."""
    warnings.simplefilter("ignore")
    for line in sys.stdin.buffer.read().decode("utf-8", "surrogateescape").split("\n"):
        if not line:
            continue
        if sys.version_info >= (3, 11):  # noqa: UP036 (older ones run this file)
            compile_source(*line.split("\0"))
        elif (child := os.fork()) == 0:
            # Bytecode of Python 3.10 depends on what the process compiled before: each source gets its own.
            compile_source(*line.split("\0"))
            os._exit(0)
        elif (status := os.waitpid(child, 0)[1]) != 0:
            sys.exit(f"compiling {line!r} ended with {status}")


def compile_source(source: str, target: str, label: str) -> None:
    """Compile one source, if it compiles.

    Args:
        source: Its path.
        target: Path of the bytecode.
        label: The text that replaces the path of the source in it.

    Raises:
        OSError: The bytecode could not be written.
    """
    try:
        py_compile.compile(
            source, cfile=target, dfile=label, doraise=False, quiet=2,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )  # fmt: skip
    except (RecursionError, MemoryError):
        return
    except OSError as error:
        # A full disk is an error; a source that is not text is not.
        if error.filename != source:
            raise


if __name__ == "__main__":
    os.nice(_NICENESS)
    main()
