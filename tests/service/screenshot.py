"""`bazel run //tests/service:screenshot -- FILE.png`: photographs the status page of a real daemon.

The daemon installs small synthetic wheels from the local test index, which serves another file for one of
them: the page shows a failure as well. docs/status-page.png was made by it.
"""

import os
import sys
import tempfile
from pathlib import Path

from tests.index.server import LocalIndex
from tests.index.wheel import Wheel
from tests.node.node import Node, make_node
from tests.service.browser import find_browser, open_browser
from tests.synthetic.catalog import Cell, environment_cell, toolkit_cell

_SHARED_BYTES = 40_000_000
_TORCH_BYTES = 8_000_000
_WINDOW = (1000, 1030)


def _toolkits(node: Node) -> list[Cell]:
    library = {
        "nvidia/cublas/lib/libcublas.so.12": b"\x7fELF cublas",
        "nvidia/cublas/include/cublas.h": b"//\n",
    }
    cublas = node.wheel("nvidia-cublas-cu12", "12.4.5.8", files=library)
    cudnn = node.wheel(
        "nvidia-cudnn-cu12", "9.1.0.70", files={"nvidia/cudnn/lib/libcudnn.so.9": b"\x7fELF cudnn"}
    )
    return [toolkit_cell([cublas], "12.4.1"), toolkit_cell([cudnn], "9.1.0.70", "12")]


def _environments(node: Node, shared: Wheel, releases: dict[str, str]) -> list[Cell]:
    torches = {release: node.wheel("torch", release, size_bytes=_TORCH_BYTES) for release in releases}
    cells = [environment_cell([shared])]
    return cells + [
        environment_cell([shared, torches[release]], release, build) for release, build in releases.items()
    ]


def photograph(node: Node, browser: str, picture: Path) -> None:
    """Run a daemon until it has installed what it can, and save its page.

    Args:
        node: An empty node.
        browser: Path of a Chromium.
        picture: Where the PNG goes.
    """
    shared = node.wheel("shared", size_bytes=_SHARED_BYTES)
    old = _environments(node, shared, {"2.4.1": "cu124", "2.5.1": "cu124", "2.6.0": "cu124"})
    new = _environments(node, shared, {"2.7.1": "cu128", "2.8.0": "cu128", "2.9.1": "cu128"})
    node.define_all({1: old + _toolkits(node), 2: new})
    node.wheel("torch", "2.9.1", size_bytes=1)  # takes the place of the locked one on the index
    with node.daemon() as daemon:
        daemon.wait_until(lambda: "<td class=failed" in daemon.get("/")[1])
        daemon.wait_until(lambda: daemon.get("/")[1].count(" class=ready") == len(old) + 2 + len(new) - 1)
        daemon.wait_until(lambda: "by sharing" in daemon.get("/")[1])
        with open_browser(browser, node.directory) as page:
            page.resize(*_WINDOW)
            page.open(f"http://127.0.0.1:{daemon.port}/")
            page.photograph(picture)


def main() -> None:
    """Write the picture that the command line names."""
    picture = Path(os.environ.get("BUILD_WORKING_DIRECTORY", "."), sys.argv[1]).resolve()
    browser = find_browser()
    if browser is None:
        sys.exit(
            "no Chromium is on the PATH; install Debian's chromium, or run this in the toolbox by ./bazelw"
        )
    with (
        tempfile.TemporaryDirectory(prefix="monobase-") as directory,
        LocalIndex(Path(directory) / "index") as index,
    ):
        photograph(make_node(index, Path(directory), python_downloads=True), browser, picture)


if __name__ == "__main__":
    main()
