"""Whatever is damaged, wherever: one repair restores it, through no link, and leaves the rest alone."""

import io
import os
import random
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.finding import Finding
from daemon.install import InstallOptions, install
from daemon.inventory import inventory_path
from daemon.progress import Reporter
from daemon.repair import RepairResult, repair
from daemon.uv import find_uv
from daemon.verify import verify
from gens.catalog import load_catalog
from tests.faults.node import BYTECODE_SUFFIX, PLAIN, SITE, Node, add_wheel, make_node
from tests.faults.tree import Tree, read_tree, tree_paths
from tests.index.interpreter_archive import InterpreterMirror, interpreter_mirror
from tests.index.server import LocalIndex
from tests.index.wheel import Wheel
from tests.synthetic.catalog import PYTHON, environment_cell, toolkit_cell

_TORCH = f"{PLAIN}-torch2.4.1-cpu"
_COPY = ("/bin/cp", "-a")  # links stay links
_GENERATIONS = ["g00000", "g00001"]


@dataclass(frozen=True, slots=True)
class Installed:
    """A node with two sealed generations, and a copy of it to start from each time.

    Attributes:
        node: The node.
        mirror: Where its interpreter comes from.
        pristine: The copy of its prefix.
        trees: What stands in each tree.
        alpha: The wheel that all environments hold.
        cublas: The wheel of the toolkit.
    """

    node: Node
    mirror: InterpreterMirror
    pristine: Path
    trees: dict[str, Tree]
    alpha: Wheel
    cublas: Wheel

    def reset(self) -> None:
        """Let the prefix be as it was installed, links included."""
        shutil.rmtree(self.node.root, ignore_errors=True)
        subprocess.run([*_COPY, self.pristine, self.node.root], check=True)

    def repair(self, *names: str, stores: bool = True, downloads: bool = True) -> tuple[RepairResult, str]:
        """Repair; gives what is left, and what was said."""
        said = io.StringIO()
        catalog = load_catalog(self.node.gens, keep_broken=True)
        options = InstallOptions(downloads=downloads)
        result = repair(
            self.node.prefix, catalog, find_uv(None), list(names) or _GENERATIONS, options, Reporter(said),
            stores=stores,
        )  # fmt: skip
        return result, said.getvalue()

    def differences(self) -> list[Finding]:
        """Verify everything."""
        return verify(self.node.prefix, self.node.prefix.installed_generations(), 2, stores=True).findings

    @property
    def interpreter(self) -> Path:
        """The folder of the managed interpreter."""
        return next(path for path in self.node.prefix.uv_python.glob("cpython-*") if not path.is_symlink())

    def places(self) -> dict[str, Path]:
        """Name a path of each sort that there is on a prefix."""
        node, prefix = self.node, self.node.prefix
        environment, torch = node.environment(), node.environment(_TORCH)
        return {
            "wheel file": environment / SITE / "alpha" / "__init__.py",
            "executable": environment / SITE / "alpha" / "run",
            "script": environment / "bin" / "alpha-tool",
            "bytecode": environment / SITE / "alpha" / "__pycache__" / f"part.{BYTECODE_SUFFIX}",
            "configuration": environment / "pyvenv.cfg",
            "RECORD": environment / SITE / "alpha-1.0.dist-info" / "RECORD",
            "data": environment / "share" / "alpha" / "model.bin",
            "empty file": environment / SITE / "alpha" / "empty.txt",
            "manifest": torch / ".manifest",
            "program": torch / "bin" / "python",
            "toolkit file": prefix.toolkits / "cuda-12.4.1" / "lib64" / "libcublas.so.12",
            "toolkit link": prefix.toolkits / "cuda-12.4.1" / "lib",
            "link to toolkit": node.environment("cuda12.4"),
            "inventory": inventory_path(prefix, self.alpha.sha256),
            "inventory of a toolkit": inventory_path(prefix, self.cublas.sha256),
            "list": next(prefix.wheels.glob(f"{self.alpha.sha256}.*.pyc.gz")),
            "mark": prefix.sealed_mark("g00001"),
            "environments": prefix.environments_file("g00000"),
            "interpreter": self.interpreter / f"lib/python{PYTHON}/json/decoder.py",
            "interpreter's program": self.interpreter / "bin" / f"python{PYTHON}",
        }


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    directory = tmp_path_factory.mktemp("repair")
    with (
        LocalIndex(directory / "index") as index,
        interpreter_mirror(directory / "mirror") as mirror,
        pytest.MonkeyPatch.context() as patch,
    ):
        node = make_node(index, directory)
        for name, value in node.variables().items():
            patch.setenv(name, value)
        patch.setenv("UV_PYTHON_DOWNLOADS_JSON_URL", mirror.list_url)
        patch.setenv("UV_PYTHON_DOWNLOADS", "manual")
        yield _install(node, mirror)


def _install(node: Node, mirror: InterpreterMirror) -> Installed:
    alpha = add_wheel(
        node,
        files={
            "alpha/__init__.py": b"from alpha import part\nNAME = 'alpha'\n\ndef main():\n    print(NAME)\n",
            "alpha/part.py": b"x = 1\n", "alpha/run": b"#!/bin/sh\necho run\n", "alpha/empty.txt": b"",
        },
        executables=frozenset({"alpha/run"}),
        console_scripts={"alpha-tool": "alpha:main"},
        data={"data/share/alpha/model.bin": b"weights"},
    )  # fmt: skip
    cublas = add_wheel(
        node, "nvidia-cublas-cu12", "12.4.5.8",
        files={"nvidia/cublas/lib/libcublas.so.12": b"\x7fELF cublas", "nvidia/cublas/include/c.h": b"//\n"},
    )  # fmt: skip
    cells = [environment_cell([alpha]), environment_cell([alpha], "2.4.1"), toolkit_cell([cublas], "12.4.1")]
    for number in range(2):
        node.define(*cells, generation=number)
    said = io.StringIO()
    result = install(node.prefix, load_catalog(node.gens), find_uv(None), InstallOptions(), Reporter(said))
    assert not result.failures, said.getvalue()
    pristine = node.directory / "pristine"
    subprocess.run([*_COPY, node.root, pristine], check=True)
    return Installed(node, mirror, pristine, _trees(node), alpha, cublas)


@pytest.fixture
def fresh(installed: Installed) -> Iterator[Installed]:
    installed.reset()
    assert installed.differences() == []
    yield installed
    installed.node.index.go_up()
    installed.mirror.lost.clear()
    for number in range(2):
        away = installed.node.gens / f"away{number}"
        if away.exists():
            away.rename(installed.node.gens / f"g{number:05d}.json")


def _trees(node: Node) -> dict[str, Tree]:
    trees = [*tree_paths(node.prefix), *node.prefix.uv_python.glob("cpython-*")]
    return {str(path.relative_to(node.root)): read_tree(path) for path in trees if not path.is_symlink()}


def _change_in_place(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"~")


def _grow_in_place(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _replace(path: Path) -> None:
    mode = path.lstat().st_mode
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(b"~" + content[1:] if content else b"~")
    path.chmod(mode & 0o777)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _to_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def _to_broken_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def _to_folder(path: Path) -> None:
    path.unlink()
    (path / "deep").mkdir(parents=True)
    (path / "deep" / "file").write_text("")


def _to_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _to_socket(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as stream:
        here = os.open(path.parent, os.O_RDONLY)
        stream.bind(f"/proc/self/fd/{here}/{path.name}")  # its own path may be longer than a socket's
        os.close(here)


def _open_mode(path: Path) -> None:
    path.chmod(0o777)


def _other_owner(path: Path) -> None:
    os.chown(path, 65534, 65534, follow_symlinks=False)


_DAMAGES: tuple[Callable[[Path], None], ...] = (
    Path.unlink, _change_in_place, _grow_in_place, _replace, _empty, _to_link, _to_broken_link, _to_folder,
    _to_pipe, _to_socket, _open_mode, _other_owner,
)  # fmt: skip
_LINKS = {"program", "toolkit link", "link to toolkit"}
_OF_ENTRIES = {Path.unlink, _to_link, _to_broken_link, _to_folder, _to_pipe, _to_socket}
# What has no mode or owner that anybody compares: it is read only by the installer, or by its own digest.
_NO_MODE = {"inventory", "inventory of a toolkit", "list", "mark", "environments", "manifest"}


def _suits(name: str, damage: Callable[[Path], None]) -> bool:
    if name in _LINKS:
        return damage in _OF_ENTRIES
    if damage in {_open_mode, _other_owner}:
        return name not in _NO_MODE and (damage is _open_mode or os.geteuid() == 0)
    if name == "mark" and damage is Path.unlink:
        return False  # a generation without a mark is one that lacks something still, which is no damage
    return not (name == "empty file" and damage in {_change_in_place, _empty})


def _check_whole(installed: Installed) -> None:
    assert _trees(installed.node) == installed.trees
    assert installed.node.is_sealed("g00000")
    assert installed.node.is_sealed("g00001")
    environment = installed.node.environment()
    python, tool = str(environment / "bin" / "python"), str(environment / "bin" / "alpha-tool")
    for command in ([python, "-c", "import alpha; alpha.main()"], [tool]):
        said = subprocess.run(command, capture_output=True, text=True, check=True)
        assert said.stdout == "alpha\n"
    assert installed.differences() == []


@pytest.mark.parametrize("damage", _DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
def test_one_repair_restores_one_kind_of_damage_at_all_places(
    fresh: Installed, damage: Callable[[Path], None]
) -> None:
    places = {name: path for name, path in fresh.places().items() if _suits(name, damage)}
    other = fresh.node.environment(generation="g00001") / SITE / "alpha" / "__init__.py"
    before = other.stat().st_ino
    for path in places.values():
        damage(path)
    assert fresh.differences()
    result, said = fresh.repair()
    assert [str(finding) for finding in result.findings] == [], said
    assert result.failures == {}
    _check_whole(fresh)
    if damage in _OF_ENTRIES | {_replace}:
        assert other.stat().st_ino == before


@pytest.mark.parametrize("seed", range(4))
def test_one_repair_restores_a_mixture_of_damages(fresh: Installed, seed: int) -> None:
    choose = random.Random(seed)  # noqa: S311 (damage of a test)
    places = fresh.places()
    names = choose.sample(sorted(places), 8)
    done = []
    for name in names:
        damage = choose.choice([damage for damage in _DAMAGES if _suits(name, damage)])
        damage(places[name])
        done.append((name, damage.__name__))
    (fresh.node.environment() / SITE / "intruder.py").write_text("")
    result, said = fresh.repair()
    assert [str(finding) for finding in result.findings] == [], f"{done}\n{said}"
    _check_whole(fresh)
