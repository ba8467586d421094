"""An index under another URL: the same wheels from another host, port or mirror are not fetched again."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.prefix.inventory import inventory_path
from daemon.report.progress import Reporter
from daemon.upkeep.prune import clean_uv_cache
from daemon.uv.cache import find_archive
from gens.lock import LockedWheel
from tests.index.repository import IndexRoot
from tests.index.server import LocalIndex
from tests.index.wheel import Wheel, WheelSpec
from tests.node.node import PLAIN, SITE, Node, make_node
from tests.synthetic.catalog import environment_cell, toolkit_cell

pytest_plugins = ["tests.index.fixture"]

_BUILD = IndexRoot("whl/cu124")


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    return make_node(local_index, tmp_path)


@pytest.fixture
def mirror() -> Iterator[LocalIndex]:
    with LocalIndex() as index:
        yield index


def _at(index: LocalIndex, root: IndexRoot | None = None) -> dict[str, str]:
    return {"UV_DEFAULT_INDEX": index.url() if root is None else index.url(root)}


def _copy(wheel: Wheel, index: LocalIndex, root: IndexRoot | None = None) -> None:
    if root is None:
        index.add(wheel)
    else:
        index.add(wheel, root)


def test_what_is_held_is_linked_whatever_the_index_is_called_now(node: Node, mirror: LocalIndex) -> None:
    alpha = node.wheel()
    cublas = node.wheel("nvidia-cublas-cu12", files={"nvidia/cublas/lib/libcublas.so.12": b"\x7fELF"})
    node.define(environment_cell([alpha]), toolkit_cell([cublas], "12.4.1"))
    node.install()
    beta = node.wheel("beta")
    for wheel in (alpha, cublas, beta):
        _copy(wheel, mirror)
    node.define(environment_cell([alpha, beta, cublas]), environment_cell([alpha], "2.4.1"), generation=1)
    node.index.log.clear()
    node.install(variables=_at(mirror))
    assert mirror.log.wheel_attempts() == {beta.filename: 1}
    assert node.index.log.requests() == ()
    # A second change, to where nobody answers: all that is needed is there.
    node.define(environment_cell([beta, cublas]), generation=2)
    with mirror.down(), node.index.down():
        node.install(variables=_at(mirror))
        _damage(node, "g00001")
        node.run("verify", "--repair", variables=_at(mirror))
    assert node.is_sealed("g00002")
    node.verify()


def _damage(node: Node, generation: str) -> None:
    """Remove a file of one environment, where the cache still has it."""
    path = node.environment(generation=generation) / SITE / "beta" / "__init__.py"
    path.unlink()


def test_a_repair_fetches_from_where_the_index_is_now(node: Node, mirror: LocalIndex) -> None:
    alpha, beta = node.wheel(), node.wheel("beta")
    node.define(environment_cell([alpha, beta]))
    node.install()
    for wheel in (alpha, beta):
        _copy(wheel, mirror)
    path = node.environment() / SITE / "alpha" / "__init__.py"
    path.write_bytes(b"x")  # all its links: the cache has it no more
    with node.index.down():
        node.run("verify", "--repair", variables=_at(mirror))
    assert mirror.log.wheel_attempts() == {alpha.filename: 1}
    node.verify()


def test_the_index_of_a_build_may_move_too(node: Node, mirror: LocalIndex) -> None:
    node.index.add_root(_BUILD)
    mirror.add_root(_BUILD)
    alpha = node.wheel()
    torch = node.index.add(WheelSpec("torch", "2.4.1+cu124", files={"torch/__init__.py": b""}), _BUILD)

    def cell(index: LocalIndex, *wheels: Wheel) -> None:
        node.define(
            environment_cell(
                [*wheels, torch], "2.4.1", "cu124", index_url=index.url(_BUILD), index_packages=["torch"]
            ),
            generation=int(index is mirror),
        )

    cell(node.index, alpha)
    node.install()
    beta = mirror.add(WheelSpec("beta", "1.0", files={"beta/__init__.py": b""}))
    _copy(torch, mirror, _BUILD)
    cell(mirror, alpha, beta)
    with node.index.down():
        node.install(variables=_at(mirror))
    assert mirror.log.wheel_attempts() == {beta.filename: 1}
    node.verify()


def test_what_a_killed_install_brought_is_used_whatever_the_index_is_called_now(
    node: Node, mirror: LocalIndex
) -> None:
    alpha = node.wheel()
    node.define(environment_cell([alpha]))
    node.install(code=-9, variables={"MONOBASE_FAULT_AT": "fetch:call"})
    with mirror.down(), node.index.down():
        node.install(variables=_at(mirror))
    node.verify()


def test_a_lost_inventory_is_made_anew_from_what_is_there(node: Node, mirror: LocalIndex) -> None:
    alpha, beta = node.wheel(), node.wheel("beta")
    node.define(environment_cell([alpha, beta]))
    node.install()
    inventory_path(node.prefix, alpha.sha256).unlink()
    node.define(environment_cell([alpha], "2.4.1"), generation=1)
    with mirror.down(), node.index.down():
        node.install(variables=_at(mirror))
    node.verify()


def test_two_wheels_of_one_file_name_live_beside_each_other(node: Node) -> None:
    node.index.add_root(_BUILD)
    one = node.wheel(files={"alpha/__init__.py": b"one = 1\n"})
    two = node.index.add(WheelSpec("alpha", "1.0", files={"alpha/__init__.py": b"two = 2\n"}), _BUILD)
    assert one.filename == two.filename
    plain = environment_cell([one])
    other = environment_cell(
        [two], "2.4.1", "cu124", index_url=node.index.url(_BUILD), index_packages=["alpha"]
    )
    node.define(plain, other)
    node.install("--jobs", "2")
    node.define(plain, other, environment_cell([one, node.wheel("beta")], "2.5.1"), generation=1)
    node.install("--jobs", "2")
    assert node.index.log.wheel_downloads()[one.filename] == 2  # each once
    for generation in ("g00000", "g00001"):
        texts = [
            (node.environment(name, generation) / SITE / "alpha" / "__init__.py").read_text()
            for name in (PLAIN, f"{PLAIN}-torch2.4.1-cu124")
        ]
        assert texts == ["one = 1\n", "two = 2\n"]
    node.verify()


def test_a_wheel_that_the_index_replaced_under_its_name_is_fetched_and_the_old_one_kept(node: Node) -> None:
    old = node.wheel(files={"alpha/__init__.py": b"old = 1\n"})
    node.define(environment_cell([old]))
    node.install()
    node.index.repository.lose(old.filename)
    with LocalIndex() as later:
        new = later.add(WheelSpec("alpha", "1.0", files={"alpha/__init__.py": b"new = 1\n"}))
        assert new.filename == old.filename
        node.define(environment_cell([new]), generation=1)
        node.define(environment_cell([old], "2.4.1"), environment_cell([new], "2.5.1"), generation=2)
        node.install(variables=_at(later))
        assert later.log.wheel_downloads() == {new.filename: 1}
    assert node.index.log.wheel_downloads() == {old.filename: 1}
    for wheel in (old, new):
        assert find_archive(node.prefix.uv_cache, _locked(wheel)) is not None
    node.verify()


def test_an_emptied_cache_is_filled_from_where_the_index_is_now(node: Node, mirror: LocalIndex) -> None:
    alpha = node.wheel()
    node.define(environment_cell([alpha]))
    node.install()
    clean_uv_cache(node.prefix, Reporter(quiet=True))
    _copy(alpha, mirror)
    node.define(environment_cell([alpha], "2.4.1"), generation=1)
    with node.index.down():
        node.install(variables=_at(mirror))
    assert mirror.log.wheel_attempts() == {alpha.filename: 1}
    node.verify()


def test_an_index_that_is_a_folder_may_move(node: Node) -> None:
    alpha = node.wheel()
    for name in ("here", "there"):
        folder = node.directory / name / "alpha"
        folder.mkdir(parents=True)
        (folder / alpha.filename).write_bytes(alpha.path.read_bytes())
        (folder / "index.html").write_text(f'<a href="{alpha.filename}">{alpha.filename}</a>')
    node.define(environment_cell([alpha]))
    node.install(variables={"UV_DEFAULT_INDEX": f"file://{node.directory}/here"})
    node.define(environment_cell([alpha], "2.4.1"), generation=1)
    there = {"UV_DEFAULT_INDEX": f"file://{node.directory}/there"}
    shutil.rmtree(node.directory / "here")
    node.install(variables=there)
    assert node.is_sealed("g00001")
    node.verify()


def _locked(wheel: Wheel) -> LockedWheel:
    return LockedWheel(wheel.spec.name, wheel.spec.version, wheel.sha256, wheel.filename, wheel.size_bytes)
