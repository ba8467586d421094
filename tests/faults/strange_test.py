"""Tests unexpected files in a prefix: each command reports the path, and continues with all else."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daemon.cli.main import main
from daemon.prefix.prefix import Prefix
from daemon.prefix.usage import read_usage
from daemon.upkeep.status import read_status
from daemon.upkeep.verify import verify
from tests.index.server import LocalIndex
from tests.node.node import PLAIN, Node, make_node
from tests.synthetic.catalog import environment_cell, toolkit_cell

_TORCH = f"{PLAIN}-torch2.4.1-cpu"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    directory = tmp_path_factory.mktemp("strange")
    with LocalIndex(directory / "index") as index:
        node = make_node(index, directory)
        alpha = node.wheel()
        cublas = node.wheel(
            "nvidia-cublas-cu12", "12.4.5.8", files={"nvidia/cublas/lib/libcublas.so.12": b"\x7fELF"}
        )
        cells = [
            environment_cell([alpha]), environment_cell([alpha], "2.4.1"), toolkit_cell([cublas], "12.4.1"),
        ]  # fmt: skip
        for number in range(2):
            node.define(*cells, generation=number)
        node.install()
        yield node


@pytest.fixture
def node(installed: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    """A node of its own, as installed; nothing of it is run."""
    shutil.copytree(installed.root, tmp_path / "prefix", symlinks=True)
    for name, value in installed.environment_variables().items():
        monkeypatch.setenv(name, value)
    return installed.with_prefix(tmp_path / "prefix")


def _done(content: bytes) -> Callable[[Node], Path]:
    def harm(node: Node) -> Path:
        path = node.prefix.sealed_mark("g00001")
        path.write_bytes(content)
        return path

    return harm


def _no_file(make: Callable[[Path], object], *names: str) -> Callable[[Node], Path]:
    def harm(node: Node) -> Path:
        path = node.prefix.generation("g00001").joinpath(*names)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        make(path)
        return path

    return harm


def _without_manifest(node: Node) -> Path:
    path = node.environment(generation="g00001") / ".manifest"
    path.unlink()
    node.prefix.sealed_mark("g00001").unlink()
    return path


def _beside(make: Callable[[Path], object], name: str) -> Callable[[Node], Path]:
    def harm(node: Node) -> Path:
        path = node.prefix.generations / name
        make(path)
        return path

    return harm


def _to_nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


def _to_itself(path: Path) -> None:
    path.symlink_to(path.name)


_HARMS: dict[str, Callable[[Node], Path]] = {
    "manifests is a list": _done(b'{"manifests": []}'),
    "manifests is null": _done(
        b'{"format": 1, "generation": 1, "definition": "x", "environments": null, "manifests": null}'
    ),
    "a number": _done(b"3"),
    "a list": _done(b"[]"),
    "null": _done(b"null"),
    "an empty mark": _done(b""),
    "no UTF-8": _done(b"\xff\xfe"),
    "a number for a digest": _done(
        b'{"generation": 1, "definition": "x", "environments": 5, "manifests": {"a": 3}}'
    ),
    "a mark of 100 MB": lambda node: _large(node.prefix.sealed_mark("g00001")),
    "a mark that is a folder": _no_file(Path.mkdir, ".done"),
    "a mark that is a pipe": _no_file(os.mkfifo, ".done"),
    "a mark that is a broken link": _no_file(_to_nowhere, ".done"),
    "a mark that is a loop": _no_file(_to_itself, ".done"),
    "environments that is a folder": _no_file(Path.mkdir, "environments"),
    "environments that is a pipe": _no_file(os.mkfifo, "environments"),
    "environments of 3 bytes": _no_file(lambda path: path.write_bytes(b"\xff\n\n"), "environments"),
    "lost+found": _no_file(Path.mkdir, "lost+found"),
    "a broken link": _no_file(_to_nowhere, "stray"),
    "a loop": _no_file(_to_itself, "stray"),
    "a pipe": _no_file(os.mkfifo, "stray"),
    "a broken link of a toolkit": _no_file(_to_nowhere, "cuda12.4"),
    "a loop for a toolkit": _no_file(_to_itself, "cuda12.4"),
    "a file for an environment": _no_file(Path.touch, PLAIN),
    "a pipe for a manifest": _no_file(os.mkfifo, _TORCH, ".manifest"),
    "a loop for a manifest": _no_file(_to_itself, _TORCH, ".manifest"),
    "an environment without a manifest": _without_manifest,
    "a file called as a generation": _beside(Path.touch, "g00007"),
    "a link called as a generation": _beside(lambda path: path.symlink_to("g00001"), "g00007"),
    "a broken link called as a generation": _beside(_to_nowhere, "g00007"),
    "a pipe called as a generation": _beside(os.mkfifo, "g00007"),
    "a generation with too many zeros": _beside(Path.mkdir, "g000001"),
    "a folder among the generations": _beside(Path.mkdir, "lost+found"),
}


def _large(path: Path) -> Path:
    path.write_bytes(b'{"format": 1, "generation": "')
    os.truncate(path, 100_000_000)
    return path


def _run(node: Node, verb: str, *arguments: str) -> Result:
    own = [] if verb == "status" else ["--gens", str(node.gens)]
    if verb == "install":
        own.append("--no-python-downloads")
    done = CliRunner().invoke(main, [verb, *arguments, "--prefix", str(node.root), *own])
    assert done.exit_code != 70, done.output
    assert "Traceback" not in done.output
    return done


@pytest.mark.parametrize("name", _HARMS)
def test_every_command_says_a_sentence_and_all_else_goes_on(node: Node, name: str) -> None:
    path = _HARMS[name](node)
    assert _run(node, "status").exit_code == 0
    status = json.loads(_run(node, "status", "--json").stdout)
    assert [item["name"] for item in status["generations"]][:2] == ["g00000", "g00001"]
    assert status["generations"][0]["sealed"]
    verified = _run(node, "verify")
    assert verified.exit_code == 1
    assert str(path.relative_to(node.root)).removesuffix("/.manifest") in verified.stdout
    assert _run(node, "verify", "--gen", "0").exit_code == 0
    for arguments in (("ready",), ("prune", "--min-gen-id", "1", "--dry-run"), ("install",)):
        assert _run(node, *arguments).exit_code in {0, 1}
    read_usage(node.prefix)
    _run(node, "verify", "--repair", "--no-python-downloads")
    left = _run(node, "verify")
    if path.parent == node.prefix.generations or path.name == "lost+found":
        assert "move it away" in left.stdout  # people may have put it there
        assert os.path.lexists(path)
    else:
        assert left.exit_code == 0, left.output
        assert _run(node, "install").exit_code == 0
        assert _run(node, "ready").exit_code == 0


@pytest.mark.parametrize("make", [Path.touch, _to_nowhere, os.mkfifo, lambda path: path.symlink_to("..")])
def test_what_stands_in_the_place_of_staging_is_removed_and_not_gone_through(
    node: Node, make: Callable[[Path], object]
) -> None:
    for arguments in (("install",), ("verify", "--repair", "--no-python-downloads")):
        make(node.prefix.staging)
        assert _run(node, *arguments).exit_code == 0
        assert not os.path.lexists(node.prefix.staging)
    assert node.prefix.root.exists()
    assert _run(node, "verify").exit_code == 0


def test_nothing_is_installed_through_a_link_called_as_a_generation(node: Node, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.rmtree(node.prefix.generation("g00001"))
    node.prefix.generation("g00001").symlink_to(elsewhere)
    done = _run(node, "install")
    assert done.exit_code == 1
    assert "is a link, where a folder should be" in done.stderr
    assert not list(elsewhere.iterdir())


def test_what_is_being_removed_is_no_damage_and_status_goes_on(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prune renames a generation away between any two looks at it."""
    here, away = node.prefix.generation("g00000"), node.root / "away"
    real = os.scandir
    looks = _Looks(0)

    def scandir(path: str | Path = ".") -> object:
        looks.left -= 1
        if looks.left == 0:
            here.rename(away)
        return real(path)

    for count in range(1, 40):
        for look in (_verify_in_process, read_status, read_usage):
            looks.left = count
            with monkeypatch.context() as patch:
                patch.setattr(os, "scandir", scandir)
                look(node.prefix)
            if away.exists():
                away.rename(here)


@dataclass(slots=True)
class _Looks:
    left: int


def _verify_in_process(prefix: Prefix) -> None:
    assert verify(prefix, ["g00000", "g00001"], 1).findings == []
