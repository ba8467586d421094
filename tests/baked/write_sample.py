"""Writes a small environment for images: a Bazel action."""

import shutil
import sys
import tempfile
from pathlib import Path

from tests.baked.sample_environment import write_sample_environment


def main() -> None:
    """Write folders of definitions, wheels and an interpreter, a lock, and the folder of its wheels."""
    gens, wheels, python, lock, layer = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as scratch:
        sample = write_sample_environment(Path(scratch))
        for source, target in (
            (sample.gens, gens), (Path(scratch, "wheels"), wheels), (Path(scratch, "python"), python),
            (sample.layer_wheels, layer),
        ):  # fmt: skip
            shutil.copytree(source, target, dirs_exist_ok=True)
        shutil.copy(sample.lock, lock)


if __name__ == "__main__":
    main()
