"""Unpacks qemu-aarch64 from Debian's package: `unpack_emulator.py PACKAGE OUTPUT`."""

import shutil
import sys
from pathlib import Path

from debian.debfile import DebFile

_PROGRAM = "./usr/bin/qemu-aarch64"


def main() -> None:
    """Write the program alone: the package has one for each architecture, 450 MB in all."""
    package, output = sys.argv[1:]
    with DebFile(package) as deb, Path(output).open("wb") as target:
        source = deb.data.tgz().extractfile(_PROGRAM)
        if source is None:
            sys.exit(f"{package}: {_PROGRAM} in it is not a regular file")
        shutil.copyfileobj(source, target)


if __name__ == "__main__":
    main()
