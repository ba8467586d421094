"""Compile Python sources; runs under the interpreter of an environment, on its standard library alone.

Reads lines `SOURCE<nul>TARGET<nul>LABEL` and writes `TARGET` for each source that it could compile. What
cannot be compiled (templates, code for other Pythons) is no error: the interpreter will compile or refuse
it when imported. LABEL stands for the source's path in the bytecode, which the importer corrects when it
loads a file (`_fix_co_filename`): so the same bytes serve each environment.
"""

import os
import py_compile
import sys
import warnings


def main() -> None:
    """Compile what stdin lists."""
    warnings.simplefilter("ignore")
    for line in sys.stdin.buffer.read().decode("utf-8", "surrogateescape").split("\n"):
        if not line:
            continue
        if sys.version_info >= (3, 11):  # noqa: UP036 (older ones run this file)
            compile_source(*line.split("\0"))
        elif (child := os.fork()) == 0:
            # What Python 3.10 writes depends on what was compiled before: each source gets the same past.
            compile_source(*line.split("\0"))
            os._exit(0)
        elif (status := os.waitpid(child, 0)[1]) != 0:
            sys.exit(f"compiling {line!r} ended with {status}")


def compile_source(source: str, target: str, label: str) -> None:
    """Compile one source, if it compiles.

    Args:
        source: Its path.
        target: Path of the bytecode.
        label: What stands for the path of the source in it.

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
        # A disk that is full must be told; a source that cannot be read as text must not.
        if error.filename != source:
            raise


if __name__ == "__main__":
    main()
