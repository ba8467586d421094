"""Nobody who can only read keeps the daemon waiting, and who removes lock files makes no second writer."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uv

from tests.faults.tree import leftovers
from tests.index.server import LocalIndex
from tests.node.node import PATIENT, Node, end_group, make_node
from tests.synthetic.catalog import environment_cell, toolkit_cell

pytest_plugins = ["tests.index.fixture"]

_REAL_UV = uv.find_uv_bin()

# It opens whatever it can for reading, over and over, and holds it in each way that a reader can.
_MODEL = """
import fcntl, os, signal, struct, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
whole = struct.pack('hhqqi0q', fcntl.F_RDLCK, 0, 0, 0, 0)
held = {}
said = False
while not os.path.exists(sys.argv[2]):
    for folder, folders, names in os.walk(sys.argv[1]):
        generation = os.path.basename(folder).startswith("g0")
        for path in [os.path.join(folder, name) for name in names if "lock" in name or name.startswith(".")]:
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            except OSError:
                continue
            inode = os.fstat(descriptor).st_ino
            if inode in held:
                os.close(descriptor)
                continue
            held[inode] = descriptor
            for harm in (
                lambda: fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB),
                lambda: fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, whole),
                lambda: fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK),
            ):
                try:
                    harm()
                except OSError:
                    pass
    if not said:
        print(len(held), flush=True)
        said = True
"""

# A uv whose first try in each cache leaves the locks of wheels in the hands of a model that was quick.
_UV = """
import fcntl, os, shutil, subprocess, sys
from pathlib import Path
words, cache = sys.argv[1:], Path(os.environ["UV_CACHE_DIR"])
if "--target" not in words or cache == Path({shared!r}) or os.path.exists({noted!r}):
    os.execv({uv!r}, [{uv!r}, *words])
subprocess.run([{uv!r}, *words], check=True, close_fds=False)
shutil.rmtree(words[words.index("--target") + 1])
held = []
for path in [path for path in cache.rglob("*") if path.is_file() and not path.is_symlink()]:
    if path.suffix == ".lock":
        held.append(os.open(path, os.O_RDWR))
        fcntl.flock(held[-1], fcntl.LOCK_EX)
    else:
        path.unlink()
Path({noted!r}).write_text(str(len(held)))
subprocess.Popen(
    [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=os.open({alive!r}, os.O_RDONLY),
    pass_fds=held, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
)
sys.exit("error: Timeout (5s) when waiting for lock on `a wheel`")
"""


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    return make_node(local_index, tmp_path)


@contextmanager
def _model_that_does_harm(node: Node) -> Iterator[None]:
    done = node.directory / "done"
    model = subprocess.Popen(
        [sys.executable, "-c", _MODEL, node.root, done], stdout=subprocess.PIPE, text=True
    )
    assert model.stdout is not None
    try:
        assert int(model.stdout.readline()) > 5
        yield
    finally:
        done.touch()
        model.communicate()


def test_a_model_that_locks_all_that_it_can_read_holds_up_nothing(node: Node) -> None:
    alpha = node.wheel()
    cublas = node.wheel(
        "nvidia-cublas-cu12", "12.4.5.8", files={"nvidia/cublas/lib/libcublas.so.12": b"\x7fELF"}
    )
    node.define(environment_cell([alpha]), toolkit_cell([cublas], "12.4.1"))
    node.install()
    node.define(environment_cell([alpha, node.wheel("beta")]), generation=1)
    with _model_that_does_harm(node):
        node.install("--lock-timeout", "20")
        node.verify()
        module = node.environment(generation="g00001") / "lib"
        (next(module.glob("python*/site-packages/beta")) / "__init__.py").unlink()
        node.run("verify", "--repair", "--lock-timeout", "20")
        node.run("prune", "--min-gen-id", "1", "--lock-timeout", "20")
        node.verify()
    assert node.prefix.installed_generations() == ["g00001"]
    assert leftovers(node.prefix) == []


def test_a_lock_that_a_model_got_once_is_not_met_again(node: Node) -> None:
    node.define(environment_cell([node.wheel()]))
    alive, noted, program = (node.directory / name for name in ("alive", "noted", "uv.py"))
    os.mkfifo(alive)
    names = {"alive": str(alive), "noted": str(noted), "shared": str(node.prefix.uv_cache), "uv": _REAL_UV}
    program.write_text(f"#!{sys.executable}\n{_UV.format(**names)}")
    program.chmod(0o755)
    descriptor = os.open(alive, os.O_RDWR)  # the model ends when nobody has this open for writing
    try:
        node.install("--uv", str(program))
    finally:
        os.close(descriptor)
    assert noted.read_text() == "1"
    node.verify()


@pytest.mark.parametrize("harm", ["removed", "replaced"])
def test_who_loses_its_lock_publishes_nothing_and_the_next_waits_for_its_end(node: Node, harm: str) -> None:
    node.define(environment_cell([node.wheel()]))
    with node.index.gate("*.whl") as gate:
        first = node.start(variables=PATIENT)
        try:
            gate.wait_reached()
            os.killpg(first.pid, signal.SIGSTOP)
            gate.open()
            node.prefix.lock_file.unlink()
            if harm == "replaced":
                node.prefix.lock_file.write_text("")
            said = node.install("--lock-timeout", "0.5", code=6)
            assert f"process {first.pid} " in said
            os.killpg(first.pid, signal.SIGCONT)
            _, said = first.communicate(timeout=120)
        finally:
            end_group(first)
    assert first.returncode == 6, said
    assert "monobase/.lock: was removed or replaced" in said
    assert "Traceback" not in said
    assert not node.environment().exists()
    assert not node.is_sealed()
    node.install()
    node.verify()
    assert node.is_sealed()
    assert leftovers(node.prefix) == []


def test_no_lock_gets_the_number_of_a_stream_that_is_closed(node: Node) -> None:
    node.define(environment_cell([node.wheel()]))
    node.install(before=["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"])
    assert node.prefix.lock_file.read_text().startswith("process ")
    assert node.is_sealed()
    node.verify()
