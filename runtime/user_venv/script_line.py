"""The first line of a script that the Python beside it runs, at whatever path the folder is.

Nothing else of a script is changed, and to Python it is a comment: the second line may name an encoding, and
the first statement may be a docstring or an import from `__future__`. It starts another process only if it is
called by a link, or without a folder. It needs coreutils 8.30 (`env -S`). Linux before 5.1 (RHEL 8) and
gVisor read 127 bytes of it. `layers/script_line.py` is a link to this file.
"""

OWN_PYTHON = (
    """#!/usr/bin/env -S /bin/sh -c 'p=$0;[ -L "$p" -o ! -d "${p%/*}" ]&&p=$(realpath "$p");"""
    """exec "${p%/*}/python" "$0" "$@"'\n"""
)
