"""Fixes in the source tree what the checkers can fix: `./bazelw run //tools:format`."""

import os
import subprocess
import sys
from pathlib import Path

from tools.lint.checker import checkers
from tools.lint.source_tree import walk


def main() -> int:
    """Run the fixes of every checker over the workspace, and print the files that they changed.

    Returns:
        0 if all of them succeeded, otherwise the exit code of the first that failed.
    """
    workspace = os.environ.get("BUILD_WORKSPACE_DIRECTORY")
    if workspace is None:
        print(
            "format: BUILD_WORKSPACE_DIRECTORY is not set; run `./bazelw run //tools:format`",
            file=sys.stderr,
        )
        return 2
    programs = checkers().values()
    os.chdir(workspace)
    paths = list(walk(Path()))
    before = {path: path.read_bytes() for path in paths if any(program.reads(path) for program in programs)}
    for program in programs:
        files = program.files(paths)
        for fix in program.fixes if files else ():
            code = subprocess.run([*fix, *map(str, files)], check=False).returncode
            if code:
                print(f"format: {program.name} ended with {code}; see above", file=sys.stderr)
                return code
    changed = [path for path, content in before.items() if path.read_bytes() != content]
    for path in changed:
        print(f"formatted {path}")
    print(f"{len(before)} files read, {len(changed)} changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
