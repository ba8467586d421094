"""Runs one checker over the source tree: the program behind each test of this folder."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.lint.checker import checkers
from tools.lint.source_tree import lay_out, walk


def main(name: str, build_file: Path) -> int:
    """Checks a copy of the source tree.

    Args:
        name: of the checker.
        build_file: of the `@source_tree` repository; the sources are in the folder `files` beside it.

    Returns:
        0 if the checker is content, else its own exit code, after its output.
    """
    checker = checkers()[name]
    with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR")) as folder:
        root = Path(folder, "tree")
        lay_out(build_file.parent / "files", root)
        os.chdir(root)
        files = checker.files(walk(Path()))
        if not files:
            print(f"{name}: found no file to check, so it cannot say that all is well", file=sys.stderr)
            return 1
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        code = subprocess.run([*checker.check, *map(str, files)], check=False, env=environment).returncode
    if code:
        hint = "`./bazelw run //tools:format` mends it" if checker.fixes else "this one is mended by hand"
        print(f"{name}: {len(files)} files checked; {hint}", file=sys.stderr)
    else:
        print(f"{name}: {len(files)} files are clean")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
