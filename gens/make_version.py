"""Writes `version.json`, as a build action of `version.bzl`: make_version VERSION OUTPUT [STATUS]."""

import sys
from pathlib import Path

from gens.version import StampError, format_version, make_version


def main(version: Path, output: Path, status: Path | None = None) -> None:
    """Write the version of a build.

    Args:
        version: The file VERSION.
        output: File to write.
        status: Bazel's stable status file, in a stamped build.
    """
    text = None if status is None else status.read_text()
    output.write_text(format_version(make_version(version.read_text(), text)))


if __name__ == "__main__":
    try:
        main(*map(Path, sys.argv[1:]))
    except StampError as error:
        sys.exit(f"error: {error}")
