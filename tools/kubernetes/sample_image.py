"""Writes an OCI layout without a layer: an image for tests that only ask for its digest."""

import sys
from pathlib import Path

from image.oci.layout import to_json_bytes, write_layout


def main() -> None:
    """Write the layout that the first argument names; the second makes its digest another one."""
    configuration = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": {"name": sys.argv[2]}},
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    write_layout(Path(sys.argv[1]), to_json_bytes(configuration), [], {})


if __name__ == "__main__":
    main()
