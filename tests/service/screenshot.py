"""`bazel run //tests/service:screenshot -- FILE.png`: photographs the status page of a real daemon.

The daemon installs small synthetic wheels from the local test index, which serves another file for one of
them: the page shows a failure as well. docs/status-page.png was made by it. Further arguments are the width
and height of the window (one below 600 is a phone's) and `dark`.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from gens.generation import Environment
from tests.index.server import LocalIndex
from tests.index.wheel import Wheel
from tests.node.node import Node, make_node
from tests.node.running_daemon import Daemon
from tests.service.browser import find_browser, open_browser
from tests.synthetic.catalog import PYTHON_FULL, Cell, environment_cell, toolkit_cell

_SHARED_BYTES = 40_000_000
_TORCH_BYTES = 8_000_000
_WINDOW = (1000, 1400)
_OLD = {"2.5.1": "cu124", "2.6.0": "cu124"}
_NEW = {"2.7.1": "cu128", "2.8.0": "cu128"}
_FAILING = "2.9.1"


def _pythons() -> list[str]:
    """Return the versions of this Python, and of the others that are on the PATH."""
    found = {PYTHON_FULL.rpartition(".")[0]: PYTHON_FULL}
    for minor in range(10, 16):
        program = shutil.which(f"python3.{minor}")
        if program is not None:
            said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
            if said.returncode == 0:  # else a shim without a Python behind it
                found.setdefault(f"3.{minor}", said.stdout.split()[1])
    return [found[minor] for minor in sorted(found, key=lambda minor: int(minor.partition(".")[2]))]


def _toolkits(node: Node) -> list[Cell]:
    library = {
        "nvidia/cublas/lib/libcublas.so.12": b"\x7fELF cublas" + bytes(3_000_000),
        "nvidia/cublas/include/cublas.h": b"//\n",
    }
    cublas = node.wheel("nvidia-cublas-cu12", "12.4.5.8", files=library)
    cudnn = node.wheel(
        "nvidia-cudnn-cu12",
        "9.1.0.70",
        files={"nvidia/cudnn/lib/libcudnn.so.9": b"\x7fELF cudnn" + bytes(2_000_000)},
    )
    return [toolkit_cell([cublas], "12.4.1"), toolkit_cell([cudnn], "9.1.0.70", "12")]


def _environments(node: Node, shared: Wheel, releases: dict[str, str], pythons: Sequence[str]) -> list[Cell]:
    torches = {release: node.wheel("torch", release, size_bytes=_TORCH_BYTES) for release in releases}
    cells = [environment_cell([shared], python=python) for python in pythons]
    return cells + [
        environment_cell([shared, torches[release]], release, build, python=python)
        for python in pythons
        for release, build in releases.items()
    ]


def _stack(node: Node, base: Cell) -> Cell:
    """Return a stack on the Torch of an environment."""
    if not isinstance(base.target, Environment):
        raise TypeError(f"{base.target.name} is not an environment")
    vllm = node.wheel("vllm", "0.33.0", size_bytes=_TORCH_BYTES // 2)
    return Cell(replace(base.target, stack="vllm", stack_version="0.33.0"), (*base.wheels, vllm))


def photograph(node: Node, browser: str, picture: Path, size: tuple[int, int], *, dark: bool) -> None:
    """Run a daemon until it has installed what it can, and save its page.

    Args:
        node: An empty node.
        browser: Path of a Chromium.
        picture: Where the PNG goes.
        size: Width and height of the window.
        dark: Use the dark colours.
    """
    pythons = _pythons()
    shared = node.wheel("shared", size_bytes=_SHARED_BYTES)
    old = _environments(node, shared, _OLD, pythons) + _toolkits(node)
    new = _environments(node, shared, _NEW, pythons)
    new.append(_stack(node, new[-1]))
    ready = len(old) + len(new)
    torch = node.wheel("torch", _FAILING, size_bytes=_TORCH_BYTES)
    new.append(environment_cell([shared, torch], _FAILING, "cu128"))
    node.define_all({1: old, 2: new})
    node.wheel("torch", _FAILING, size_bytes=1)  # takes the place of the locked one on the index
    with node.daemon() as daemon:
        daemon.wait_until(lambda: _is_settled(daemon, ready))
        with _leased(node, "g00002", new[-2].target.name), open_browser(browser, node.directory) as page:
            daemon.wait_until(lambda: "<b>● " in daemon.get("/")[1])
            page.resize(*size)
            page.prefer("dark" if dark else "light")
            page.open(f"http://127.0.0.1:{daemon.port}/")
            page.photograph(picture)


@contextmanager
def _leased(node: Node, generation: str, name: str) -> Iterator[None]:
    """Lease an environment for two models."""
    descriptors = [os.open(node.prefix.target(generation, name), os.O_RDONLY) for _ in range(2)]
    for descriptor in descriptors:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    yield
    for descriptor in descriptors:
        os.close(descriptor)


def _is_settled(daemon: Daemon, ready: int) -> bool:
    page = daemon.get("/")[1]
    return (
        "class=failed" in page
        and page.count(" class=ready") == ready
        and page.count("B<small>+") >= ready - 2
    )


def main() -> None:
    """Write the picture that the command line names."""
    picture = Path(os.environ.get("BUILD_WORKING_DIRECTORY", "."), sys.argv[1]).resolve()
    numbers = [int(word) for word in sys.argv[2:] if word.isdigit()]
    size = (numbers[0], numbers[1]) if len(numbers) > 1 else _WINDOW
    browser = find_browser()
    if browser is None:
        sys.exit(
            "no Chromium is on the PATH; install Debian's chromium, or run this in the toolbox by ./bazelw"
        )
    with (
        tempfile.TemporaryDirectory(prefix="monobase-") as directory,
        LocalIndex(Path(directory) / "index") as index,
    ):
        node = make_node(index, Path(directory), python_downloads=True)
        photograph(node, browser, picture, size, dark="dark" in sys.argv[2:])


if __name__ == "__main__":
    main()
