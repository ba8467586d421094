"""Checks the order of the packages: the contracts of pyproject.toml, with import-linter.

Runs as a script in the root of a source tree, with the modules to check as arguments. It copies them to a
folder of their own, as import-linter reads all files of a package: unit tests import what they compare their
subject with, and no contract is about them.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from importlinter.cli import lint_imports

_CONFIGURATION = "pyproject.toml"


def check_imports(root: Path, modules: Iterable[Path]) -> int:
    """Check the contracts, and print each import that breaks one.

    Args:
        root: Root of the source tree, where the configuration lies.
        modules: The modules, relative to it.

    Returns:
        0 if all contracts are kept.
    """
    with tempfile.TemporaryDirectory() as folder:
        for path in (Path(_CONFIGURATION), *modules):
            copy = Path(folder, path)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / path, copy)
        os.chdir(folder)
        code = lint_imports(_CONFIGURATION, no_cache=True, no_logo=True)
        os.chdir(root)
    return code


if __name__ == "__main__":
    sys.exit(check_imports(Path.cwd(), [Path(path) for path in sys.argv[1:]]))
