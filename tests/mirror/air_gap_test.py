"""An air gap: a generation and its interpreter go into an archive, and are installed where no network is."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gens.mirror_shape import INTERPRETERS_INDEX, parse_interpreters_index
from tests.index.client import uv_binary, uv_environment
from tests.index.server import LocalIndex
from tests.mirror import no_network
from tests.mirror.desk import Desk, tree_of
from tests.mirror.python_server import VERSION, PythonServer, python_server
from tests.node.node import SITE, Node, make_node
from tests.registry.local_registry import LocalRegistry
from tests.synthetic.catalog import environment_cell
from tools.mirror.interpreters import find_downloads

pytest_plugins = ["tests.index.fixture", "tests.registry.fixture"]


@pytest.fixture
def pythons(tmp_path: Path) -> Iterator[PythonServer]:
    with python_server(tmp_path / "pythons") as server:
        yield server


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path, pythons: PythonServer) -> Node:
    node = make_node(local_index, tmp_path, variables=pythons.offline, python_downloads=True)
    node.define(environment_cell([node.wheel(size_bytes=700_000), node.wheel("beta")]))
    return node


@pytest.fixture
def desk(node: Node, tmp_path: Path, pythons: PythonServer) -> Desk:
    unused = node.wheel("unused")
    return Desk(tmp_path, node.index, node.gens, unused, unused, unused, dict(pythons.variables))


def without_network(*command: str) -> list[str]:
    """Return a command that runs another one without a network; skip the test where that is not allowed."""
    prefix = [sys.executable, no_network.__file__]
    if subprocess.run([*prefix, "true"], check=False).returncode == no_network.REFUSED:
        pytest.skip("network namespaces are not allowed here")
    return [*prefix, *command]


def test_an_archive_that_is_unpacked_installs_a_generation_with_its_interpreter_without_a_network(
    desk: Desk, node: Node, tmp_path: Path, pythons: PythonServer
) -> None:
    archive = tmp_path / "carried.tar"
    first = desk.mirror("--gen", "0", "--to", str(archive), interpreters=True)
    assert "sent 3 blobs" in first.stderr
    subprocess.run(["sha256sum", "--check", "carried.tar.sha256"], cwd=tmp_path, check=True)  # noqa: S607
    asked = len(pythons.web.asked)
    again = desk.mirror("--gen", "0", "--to", str(archive), interpreters=True)
    assert "sent 0 blobs (0 bytes), 3 blobs" in again.stderr
    assert len(pythons.web.asked) == asked
    inside = tmp_path / "inside"
    inside.mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", inside], check=True)  # noqa: S607
    node.index.log.clear()
    said = node.install("--source", inside.as_uri(), before=without_network())
    assert node.is_sealed(), said
    assert (node.environment() / SITE / "alpha/data.bin").stat().st_size == 700_000
    assert list((node.root / "uv/python").glob(f"cpython-{VERSION}-*")), said
    assert node.index.log.requests() == ()
    assert node.differences() == []


def test_uv_alone_installs_the_interpreter_of_a_folder_without_a_network(
    desk: Desk, tmp_path: Path, pythons: PythonServer
) -> None:
    mirror = tmp_path / "mirror"
    desk.mirror("--gen", "0", "--to", str(mirror), interpreters=True)
    mirrored = (mirror / "interpreters").as_uri()
    variables = {"UV_PYTHON_INSTALL_MIRROR": mirrored, "UV_PYTHON_DOWNLOADS": "manual"}
    into = str(tmp_path / "in")
    subprocess.run(
        without_network(uv_binary(), "python", "install", "--no-bin", "--install-dir", into, VERSION),
        env=uv_environment(desk.index, tmp_path) | pythons.offline | variables, check=True,
    )  # fmt: skip
    assert list((tmp_path / "in").glob("cpython-*/bin/python3*"))


def test_interpreters_go_through_a_registry_into_the_same_folder(
    desk: Desk, registry: LocalRegistry, tmp_path: Path, pythons: PythonServer
) -> None:
    to = f"oci://{registry.host}/wheels"
    desk.mirror("--gen", "0", "--to", to, interpreters=True)
    assert f"interpreter-{pythons.key}" in registry.tags("wheels")
    desk.mirror("--gen", "0", "--to", str(tmp_path / "a"), interpreters=True)
    asked = len(pythons.web.asked)
    with desk.index.down():
        desk.mirror("--gen", "0", "--to", str(tmp_path / "b"), "--from", to, interpreters=True)
        second = desk.mirror("--gen", "0", "--to", to, "--from", to, interpreters=True)
    assert "sent 0 blobs" in second.stderr
    assert len(pythons.web.asked) == asked
    assert tree_of(tmp_path / "a") == tree_of(tmp_path / "b")
    found = parse_interpreters_index((tmp_path / "a" / INTERPRETERS_INDEX).read_bytes(), "here")
    assert found[pythons.key].sha256 == hashlib.sha256(pythons.archive.read_bytes()).hexdigest()
    assert "1 interpreters" in desk.mirror("--gen", "0", "--to", to, "--check", interpreters=True).stderr


def test_a_daemon_installs_a_generation_with_its_interpreter_from_a_mirror_in_a_registry(
    desk: Desk, node: Node, registry: LocalRegistry
) -> None:
    desk.mirror("--gen", "0", "--to", f"oci://{registry.host}/wheels", interpreters=True)
    node.index.log.clear()
    said = node.install("--source", f"oci://{registry.host}/wheels")
    assert node.is_sealed(), said
    assert list((node.root / "uv/python").glob(f"cpython-{VERSION}-*")), said
    assert node.index.log.requests() == ()


def test_a_server_of_interpreters_that_is_down_is_asked_once(desk: Desk, tmp_path: Path) -> None:
    node = make_node(desk.index, tmp_path / "other")
    cells = [environment_cell([node.wheel("gamma")], python=python) for python in ("3.11.18", "3.12.12")]
    node.define(*cells)
    variables = {"UV_PYTHON_INSTALL_MIRROR": "http://127.0.0.1:1"}
    other = Desk(tmp_path / "other", desk.index, node.gens, desk.large, desk.old, desk.toolkit, variables)
    arguments = ("--gen", "0", "--to", str(tmp_path / "m"), "--retries", "1")
    done = other.mirror(*arguments, interpreters=True, exit_code=7)
    assert done.stderr.count("again in") == 1
    assert "cpython-3.11.18-linux-x86_64-gnu: http://127.0.0.1:1/" in done.stderr
    assert "not tried, as its host failed before" in done.stderr
    assert "sent 1 blobs" in done.stderr


def test_an_interpreter_that_uv_does_not_expect_is_refused_and_the_wheels_arrive(
    desk: Desk, tmp_path: Path, pythons: PythonServer
) -> None:
    pythons.archive.write_bytes(os.urandom(1000))
    done = desk.mirror("--gen", "0", "--to", str(tmp_path / "m"), interpreters=True, exit_code=7)
    assert f"{pythons.key}: " in done.stderr
    assert "is another archive than" in done.stderr
    assert "sent 2 blobs" in done.stderr
    assert not (tmp_path / "m" / "interpreters").exists()


def test_an_interpreter_that_cannot_be_downloaded_is_told_with_what_to_do(
    desk: Desk, tmp_path: Path, pythons: PythonServer
) -> None:
    pythons.archive.unlink()
    done = desk.mirror("--gen", "0", "--to", str(tmp_path / "m"), interpreters=True, exit_code=7)
    assert "answers 404" in done.stderr
    assert "--no-interpreters" in done.stderr


def test_without_a_list_of_its_own_a_machine_has_uv_compare_the_archive(
    desk: Desk, tmp_path: Path, pythons: PythonServer
) -> None:
    version = "3.12.12"
    key = f"cpython-{version}-linux-x86_64-gnu"
    other = replace(desk.for_python(version), variables={"UV_PYTHON_INSTALL_MIRROR": pythons.web.url})
    downloads, _ = find_downloads([(version, "x86_64")], other.environment())
    wrong = tmp_path / "pythons" / "served" / downloads[key].path
    wrong.parent.mkdir(exist_ok=True)
    wrong.write_bytes(pythons.archive.read_bytes())  # an interpreter, but not the one that uv knows
    done = other.mirror("--gen", "0", "--to", str(tmp_path / "m"), interpreters=True, exit_code=7)
    assert f"{key}: uv refuses the archive" in done.stderr
    assert not (tmp_path / "m" / "interpreters").exists()
