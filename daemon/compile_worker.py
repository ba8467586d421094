"""Compile Python sources; runs under the interpreter of an environment, with nothing but its standard library.

Reads lines `SOURCE<tab>TARGET<tab>LABEL` and writes `TARGET` for each source that it could compile. What cannot be
compiled (templates, code for other Pythons) is no error: the interpreter will compile or refuse it when imported.
LABEL stands for the source's path in the bytecode, which the importer corrects when it loads a file
(`_fix_co_filename`): so the same bytes serve each environment.
"""

import py_compile
import sys
import warnings


def main() -> None:
    """Compile what stdin lists."""
    warnings.simplefilter("ignore")
    for line in sys.stdin.buffer.read().decode("utf-8", "surrogateescape").split("\n"):
        if not line:
            continue
        source, target, label = line.split("\t")
        try:
            py_compile.compile(
                source, cfile=target, dfile=label, doraise=True, quiet=2,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )  # fmt: skip
        except (py_compile.PyCompileError, RecursionError, MemoryError):
            continue
        except OSError as error:
            # A disk that is full must be told; a source that cannot be read as text must not.
            if error.filename != source:
                raise


if __name__ == "__main__":
    main()
