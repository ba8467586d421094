"""The images for arm64, by emulation: the daemon installs a real numpy, and a model imports it.

With `--test_arg=-s` it prints each command with its output and time.
"""

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from image.oci.layout import read_layout
from tests.emulation.emulated_image import unpack_images
from tests.emulation.emulator import Container, refusal, send
from tests.index.interpreter_archive import Installation, interpreter_mirror
from tests.index.server import LocalIndex
from tests.index.wheel import WheelSpec, read_wheel, write_wheel
from tests.node.running_daemon import Daemon
from tests.synthetic.catalog import environment_cell, on_platform, write_catalog

PLATFORM = "aarch64-manylinux_2_34"
PREFIX = "/srv/r8/monobase"
MINOR = "3.13"
# Python is some ten times slower in the emulator, and the machine may be busy.
PATIENCE_S = 600
IMPORT = "import alpha, numpy, platform; print(numpy.arange(3).sum(), platform.machine(), alpha.NAME)"
# EX_UNAVAILABLE of sysexits.h: there is no such environment.
REFUSED = 69


@dataclass(frozen=True, slots=True)
class Node:
    """A node of arm64.

    Attributes:
        daemon: Containers of the daemon's image, with the prefix.
        model: Containers of the runtime's image, with the prefix read-only, that name an environment.
        python: Full version of the Python of the environment.
    """

    daemon: Container
    model: Container
    python: str


@pytest.fixture(scope="module")
def emulator() -> Path:
    reason = refusal()
    if reason is not None and os.environ.get("MONOBASE_REQUIRE_EMULATION") == "1":
        pytest.fail(reason)
    if reason is not None:
        pytest.skip(reason)
    return Path(os.environ["MONOBASE_EMULATOR"]).absolute()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make a folder for the gigabyte that the images take, and remove it."""
    folder = tmp_path_factory.mktemp("emulation")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def images(emulator: Path, folder: Path) -> tuple[Container, Container]:
    """Unpack the daemon's image and the runtime's, and return what runs them."""
    began = time.monotonic()
    names = ("MONOBASE_DAEMON_IMAGE", "MONOBASE_RUNTIME_IMAGE")
    layouts = [read_layout(Path(os.environ[name]).absolute()) for name in names]
    daemon, runtime = unpack_images(layouts, folder / "store")
    print(f"\n# unpacked both images in {time.monotonic() - began:.1f} s")
    return Container(emulator, daemon), Container(emulator, runtime)


@pytest.fixture(scope="module")
def node(images: tuple[Container, Container], folder: Path) -> Iterator[Node]:
    prefix, gens, system = folder / "prefix", folder / "gens", folder / "system"
    for path in (prefix, system):
        path.mkdir()
    daemon, runtime = images
    python = daemon.run(f"python{MINOR}", "--version").split()[1]
    installation = _copy_of_the_system_s_python(daemon, system)
    with (
        LocalIndex(folder / "index") as index,
        interpreter_mirror(folder / "mirror", (python,), small=True, installation=installation) as mirror,
    ):
        numpy = index.add(read_wheel(Path(os.environ["MONOBASE_NUMPY"]).absolute()))
        pure = index.add(WheelSpec("alpha", "1.0", files={"alpha.py": b"NAME = 'alpha 1.0'\n"}))
        # The same environment for x86-64, of which this machine must take nothing: no index has its wheel.
        other = WheelSpec(
            "numpy", numpy.spec.version, f"cp{MINOR.replace('.', '')}", "cp313", "manylinux_2_28_x86_64"
        )
        cells = [
            environment_cell([write_wheel(other, folder / "other"), pure], python=python),
            on_platform(environment_cell([numpy, pure], python=python), PLATFORM),
        ]
        write_catalog(gens, {0: cells})
        variables = {
            "MONOBASE_GENS": "/gens", "MONOBASE_LISTEN": "127.0.0.1:0", "MONOBASE_LOG_FORMAT": "json",
            "UV_DEFAULT_INDEX": index.url(), "UV_PYTHON_DOWNLOADS_JSON_URL": mirror.list_url,
        }  # fmt: skip
        model = {"PYTHON_VERSION": MINOR, "MONOBASE_GEN_ID": "0"}
        yield Node(
            replace(daemon, variables=variables, writable={prefix: PREFIX}, read_only={gens: "/gens"}),
            replace(runtime, variables=model, read_only={prefix: PREFIX}),
            python,
        )


def _copy_of_the_system_s_python(container: Container, folder: Path) -> Installation:
    """Copy the image's Python, links resolved as the image sees them."""
    copies = f"cp -L /usr/bin/python{MINOR} /copy/bin; cp -rL /usr/lib/python{MINOR} /copy/lib"
    replace(container, writable={folder: "/copy"}).run("sh", "-ec", f"mkdir /copy/bin /copy/lib; {copies}")
    return Installation(folder, MINOR, "aarch64")


@contextmanager
def _running(container: Container, log: Path) -> Iterator[Daemon]:
    """Start the entrypoint of the daemon's image, and kill what runs of it at the end."""
    command = container.start()
    print(f"$ {shlex.join(command[command.index('--') + 1 :])} &")
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
    try:
        yield Daemon(process, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_both_images_are_for_arm64_and_run_as_such(images: tuple[Container, Container]) -> None:
    for container in images:
        assert container.image.architecture == "arm64"
        assert container.run("uname", "-m") == "aarch64\n"
    assert "aarch64" in images[0].run("uv", "--version")


def test_the_daemon_installs_for_this_machine_until_it_is_ready_and_ends_when_told(
    node: Node, folder: Path
) -> None:
    with _running(node.daemon, folder / "daemon.log") as daemon:
        began = time.monotonic()
        daemon.wait_until(daemon.ready, PATIENCE_S)
        print(f"# ready after {time.monotonic() - began:.1f} s: {daemon.get('/readyz?format=text')[1]}")
        assert daemon.process.poll() is None
        send(daemon.process.pid, signal.SIGTERM)
        assert daemon.process.wait(PATIENCE_S) == 0
        print(daemon.log.read_text())
    assert str(daemon.entries()[-1]["message"]).startswith("ended")
    assert "cannot be downloaded" not in daemon.log.read_text()
    print(node.daemon.run("monobase", "status"))
    node.daemon.run("monobase", "verify")


def test_a_model_imports_numpy_of_a_prefix_that_it_can_only_read(node: Node) -> None:
    assert node.model.enter("python", "-c", IMPORT) == "3 aarch64 alpha 1.0\n"
    assert "Read-only file system" in node.model.run("touch", f"{PREFIX}/file", code=1)
    assert node.model.run("id", "-u") == "1000\n"


def test_each_shell_of_the_image_activates(node: Node) -> None:
    listed = node.model.run("cat", "/etc/shells").splitlines()
    shells = {Path(line).name for line in listed if line.startswith("/")}
    # A restricted shell sources no file with a slash in its name.
    shells.remove("rbash")
    assert shells >= {"sh", "dash", "bash"}
    script = f". /opt/monobase/activate.sh && echo $VIRTUAL_ENV && python -c {shlex.quote(IMPORT)}"
    for shell in sorted(shells):
        assert node.model.run(shell, "-euc", script).splitlines() == [
            f"{PREFIX}/monobase/g00000/python{MINOR}", "3 aarch64 alpha 1.0",
        ]  # fmt: skip


def test_a_process_without_the_entrypoint_has_the_environment_s_python(node: Node) -> None:
    assert node.model.run("python", "-c", IMPORT) == "3 aarch64 alpha 1.0\n"


def test_an_environment_that_the_node_lacks_is_refused_with_those_that_it_has(node: Node) -> None:
    lacking = replace(node.model, variables={**node.model.variables, "PYTHON_VERSION": "3.9"})
    said = lacking.enter("python", "-c", IMPORT, code=REFUSED)
    assert f"g00000 offers Python {MINOR}" in said
