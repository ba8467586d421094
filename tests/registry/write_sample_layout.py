"""Writes a small image into the folder that Bazel made: FOLDER SIZE SIZE."""

import sys
from pathlib import Path

from tests.registry.sample_layout import write_sample_layout

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.rmdir()
    write_sample_layout(folder, [int(size) for size in sys.argv[2:]])
