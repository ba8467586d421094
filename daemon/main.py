"""Runs the command line by `python -m daemon.main`: in the image, in tests, without Bazel.

It is no script: as one, its folder would come first on the path, and `import uv` would find `daemon/uv`.
"""

from daemon.cli.main import main

if __name__ == "__main__":
    main(prog_name="monobase")
