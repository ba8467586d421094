"""Runs one checker over the source tree: the program behind each test of this folder."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.lint.checker import checkers
from tools.lint.source_tree import lay_out, walk


def main(name: str, build_file: Path) -> int:
    """Check a copy of the source tree.

    Args:
        name: Name of the checker.
        build_file: Build file of the `@source_tree` repository; the sources are in `files` beside it.

    Returns:
        0 if the checker found nothing, otherwise its exit code.
    """
    checker = checkers()[name]
    with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR")) as folder:
        root = Path(folder, "tree")
        lay_out(build_file.parent / "files", root)
        os.chdir(root)
        files = checker.files(walk(Path()))
        if not files:
            print(f"{name}: found no file to check; look at tools/lint/tree.bzl", file=sys.stderr)
            return 1
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        code = subprocess.run([*checker.check, *map(str, files)], check=False, env=environment).returncode
    if code:
        hint = "run `./bazelw run //tools:format`" if checker.fixes else "edit the files by hand"
        print(f"{name}: {len(files)} files checked; {hint}", file=sys.stderr)
    else:
        print(f"{name}: {len(files)} files are clean")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
