"""Packages of a stack that bring the same file with different contents, as flashinfer and OpenCV do."""

import subprocess
from pathlib import Path

import pytest

from tests.index.server import LocalIndex
from tests.index.wheel import Wheel
from tests.node.node import PLAIN, SITE, Node, make_node
from tests.synthetic.catalog import PYTHON, environment_cell, stack_cell

pytest_plugins = ["tests.index.fixture"]

_STACK = f"python{PYTHON}-serve1.0"
_WHO = "import build_backend, cv2.part; print(build_backend.WHO, cv2.part.WHO)"


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    return make_node(local_index, tmp_path)


def _wheel(node: Node, name: str, **more: bytes) -> Wheel:
    who = f"WHO = '{name}'\n".encode()
    files = {
        "build_backend.py": who, "cv2/__init__.py": b"", "cv2/part.py": who, "cv2/lib.so": who * 1000,
        f"{name}.py": who, "cv2/same.py": b"SAME = 1\n",
    }  # fmt: skip
    return node.wheel(name, files=files | more)


def _define(node: Node, *wheels: Wheel) -> None:
    node.define(environment_cell(wheels[:1]), stack_cell(environment_cell(wheels), "serve", "1.0"))


def _told(node: Node, environment: str) -> str:
    """Return what the modules say; Python loads their bytecode without a look at the sources."""
    python = node.environment(environment) / "bin" / "python"
    done = subprocess.run([python, "-c", _WHO], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_later_package_in_the_lock_wins_and_the_other_keeps_its_own_elsewhere(node: Node) -> None:
    # "middle" is the last to be defined, and neither the first nor the last by name.
    wheels = [_wheel(node, name) for name in ("alpha", "zeta", "middle")]
    _define(node, *wheels)
    said = node.install("--only", _STACK)
    assert f"g00000/{_STACK}: packages bring the same file with different contents" in said
    assert "build_backend.py of zeta 1.0, cv2/lib.so of zeta 1.0, cv2/part.py of zeta 1.0" in said
    assert _told(node, _STACK) == "zeta zeta"
    assert (node.environment(_STACK) / SITE / "cv2" / "lib.so").read_bytes() == b"WHO = 'zeta'\n" * 1000
    node.install()
    assert node.is_sealed()
    assert _told(node, PLAIN) == "alpha alpha"
    node.verify()
    node.run("ready")


def test_what_was_taken_is_repaired_as_it_was_taken(node: Node) -> None:
    _define(node, _wheel(node, "alpha"), _wheel(node, "beta"))
    node.install()
    site = node.environment(_STACK) / SITE
    (site / "build_backend.py").unlink()
    (site / "cv2" / "lib.so").unlink()
    (site / "cv2" / "lib.so").write_bytes(b"WHO = 'alpha'\n" * 1000)
    for path in (site / "cv2" / "__pycache__").iterdir():
        path.unlink()
    node.verify(code=1)
    node.run("verify", "--repair")
    assert _told(node, _STACK) == "beta beta"
    assert (site / "cv2" / "lib.so").read_bytes() == b"WHO = 'beta'\n" * 1000
    assert _told(node, PLAIN) == "alpha alpha"
    node.verify()


def test_a_lost_environment_is_built_again_with_the_same_files(node: Node) -> None:
    _define(node, _wheel(node, "alpha"), _wheel(node, "beta"))
    node.install()
    manifest = node.environment(_STACK) / ".manifest"
    manifest.write_bytes(b"junk")
    node.run("verify", "--repair")
    assert _told(node, _STACK) == "beta beta"
    node.verify()


def test_a_source_that_does_not_compile_does_not_hide_behind_the_bytecode_of_another(node: Node) -> None:
    _define(node, _wheel(node, "alpha"), _wheel(node, "beta", **{"build_backend.py": b"def (\n"}))
    said = node.install(code=7)
    assert "beta 1.0 brings build_backend.py, which does not compile, over that of alpha 1.0" in said
    assert not node.environment(_STACK).exists()
    assert _told(node, PLAIN) == "alpha alpha"


def test_a_file_outside_of_the_packages_is_refused_in_a_stack_too(node: Node) -> None:
    one = node.wheel("alpha", data={"data/share/model": b"one"})
    _define(node, one, node.wheel("beta", data={"data/share/model": b"two"}))
    said = node.install(code=7)
    assert "alpha 1.0 and beta 1.0 both bring share/model, with different contents" in said


def test_an_environment_without_a_stack_refuses_such_packages(node: Node) -> None:
    node.define(environment_cell([_wheel(node, "alpha"), _wheel(node, "beta")]))
    said = node.install(code=7)
    assert "both bring build_backend.py, with different contents" in said
