"""Tests that wheels which do not match their lock, or are malformed, are named and never installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.tree import leftovers
from tests.index.client import uv_binary
from tests.index.fault import corrupt, substitute
from tests.index.server import LocalIndex
from tests.index.wheel import Damage, Wheel, WheelSpec, build_wheel
from tests.node.node import PLAIN, SITE, Node, make_node
from tests.synthetic.catalog import environment_cell

pytest_plugins = ["tests.index.fixture"]

_ESCAPES = {
    "upwards": "../../../../evil.txt",
    "absolute": "/tmp/monobase-faults-evil.txt",  # noqa: S108 (that it is not written is the point)
    "into a neighbour": "../../../../../pyc/evil.txt",
    "after a folder": "evil/../../../../../evil.txt",
}


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    return make_node(local_index, tmp_path)


def _check_that_nothing_is_there(node: Node) -> None:
    assert not node.environment().exists()
    assert not node.is_sealed()
    assert not os.path.lexists(node.prefix.latest)
    assert leftovers(node.prefix) == []


def test_a_wheel_of_the_right_length_and_another_content_is_named_with_both_hashes(node: Node) -> None:
    alpha = node.wheel(files={"alpha/__init__.py": b"good = 1\n"})
    evil = build_wheel(WheelSpec("alpha", "1.0", files={"alpha/__init__.py": b"evil = 1\n"}))
    assert len(evil) == alpha.size_bytes
    node.define(environment_cell([alpha]))
    with node.index.fault(substitute("*alpha*.whl", evil, times=None)):
        said = node.install(code=7)
    assert alpha.filename in said or "alpha==1.0" in said
    assert f"expected sha256:{alpha.sha256}, found sha256:" in said
    _check_that_nothing_is_there(node)
    node.install()
    assert (node.environment() / SITE / "alpha" / "__init__.py").read_bytes() == b"good = 1\n"
    node.verify()


def test_a_wheel_with_one_changed_byte_is_not_installed(node: Node) -> None:
    node.define(environment_cell([node.wheel(files={"alpha/data.bin": os.urandom(200_000)})]))
    with node.index.fault(corrupt("*.whl", times=None)):
        said = node.install(code=7)
    assert "alpha" in said
    _check_that_nothing_is_there(node)
    node.install()
    node.verify()


def test_a_bad_wheel_stops_only_the_environments_that_hold_it(node: Node) -> None:
    alpha, beta = node.wheel(), node.wheel("beta")
    node.define(environment_cell([alpha]), environment_cell([alpha, beta], "2.4.1"))
    with node.index.fault(corrupt("*beta*.whl", times=None)):
        said = node.install(code=7)
    assert "beta" in said
    assert f"g00000/{PLAIN}-torch2.4.1-cpu" in said
    assert node.environment().exists()
    assert not node.environment(f"{PLAIN}-torch2.4.1-cpu").exists()
    assert not node.is_sealed()
    node.install()
    assert node.is_sealed()


@pytest.mark.parametrize("way", _ESCAPES)
def test_a_wheel_that_leaves_its_folder_writes_nothing_and_is_named(node: Node, way: str) -> None:
    path = _ESCAPES[way]
    evil = node.wheel("evil", damage=Damage(escaping={path: b"evil"}))
    node.define(environment_cell([evil, node.wheel()]), environment_cell([evil], "2.4.1"))
    said = node.install(code=7)
    assert evil.filename in said
    assert path in said
    assert list(node.directory.rglob("evil.txt")) == []
    assert not Path("/tmp/monobase-faults-evil.txt").exists()  # noqa: S108
    _check_that_nothing_is_there(node)


def test_a_wheel_with_a_symbolic_link_to_the_outside_does_not_reach_it(node: Node) -> None:
    secret = node.directory / "secret"
    secret.write_text("secret")
    evil = node.wheel("evil", damage=Damage(symlinks={"evil/link": str(secret)}))
    node.define(environment_cell([evil]))
    process = node.start()
    _, said = process.communicate(timeout=60)
    assert process.returncode in {0, 7}, said
    link = node.environment() / SITE / "evil" / "link"
    assert not link.is_symlink()
    assert not link.exists() or link.read_text() != "secret"


@pytest.mark.parametrize("path", ["shared/__init__.py", "shared.py", "first/../shared/deep/data.bin"])
def test_two_packages_with_one_path_and_two_contents_are_both_named(node: Node, path: str) -> None:
    path = os.path.normpath(path)
    first = node.wheel("first", files={path: b"a = 1\n"})
    second = node.wheel("second", "2.0", files={path: b"b = 1\n"})
    node.define(environment_cell([first, second]), environment_cell([first], "2.4.1"))
    said = node.install(code=7)
    assert f"first 1.0 and second 2.0 both bring {path}" in said
    assert not node.environment().exists()
    assert node.environment(f"{PLAIN}-torch2.4.1-cpu").exists()
    assert not node.is_sealed()


def test_two_packages_with_one_data_file_and_two_contents_are_both_named(node: Node) -> None:
    first = node.wheel("first", data={"data/share/model.bin": b"one"})
    second = node.wheel("second", data={"data/share/model.bin": b"two"})
    node.define(environment_cell([first, second]))
    said = node.install(code=7)
    assert "first" in said
    assert "second" in said
    assert "share/model.bin" in said
    _check_that_nothing_is_there(node)


def test_two_packages_with_one_path_and_one_content_are_fine(node: Node) -> None:
    files = {"shared/__init__.py": b"a = 1\n"}
    data = {"data/share/model.bin": b"same"}
    wheels = [node.wheel(name, files=files, data=data) for name in ("first", "second")]
    node.define(environment_cell(wheels))
    node.install()
    assert node.is_sealed()
    node.verify()


def test_a_record_with_a_wrong_hash_is_no_reason_to_fetch_or_to_complain_again(node: Node) -> None:
    alpha = node.wheel(damage=Damage(wrong_hashes=frozenset({"alpha/__init__.py"})))
    node.define(environment_cell([alpha]), environment_cell([alpha], "2.4.1"))
    node.install()
    assert node.index.log.wheel_downloads() == {alpha.filename: 1}
    node.verify()
    said = subprocess.run(
        [node.environment() / "bin" / "python", "-c", "import alpha; print(alpha.NAME)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout == "alpha 1.0\n"


def test_a_file_that_record_leaves_out_is_installed_and_verified(node: Node) -> None:
    alpha = node.wheel(damage=Damage(unrecorded={"alpha/extra.bin": b"extra"}))
    node.define(environment_cell([alpha]))
    node.install()
    extra = node.environment() / SITE / "alpha" / "extra.bin"
    assert extra.read_bytes() == b"extra"
    node.verify()
    extra.unlink()
    assert "alpha/extra.bin" in node.verify(code=1)


@pytest.mark.parametrize(
    "damage",
    [Damage(without_record=True), Damage(truncated_to_bytes=300)],
    ids=["no RECORD", "half an archive"],
)
def test_a_wheel_that_is_none_is_named_although_its_hash_is_right(node: Node, damage: Damage) -> None:
    broken = node.wheel("broken", damage=damage)
    alpha = node.wheel()
    node.define(environment_cell([alpha, broken]), environment_cell([alpha], "2.4.1"))
    said = node.install(code=7)
    assert "broken" in said
    assert not node.environment().exists()
    assert node.environment(f"{PLAIN}-torch2.4.1-cpu").exists()
    assert not node.is_sealed()


def _wheel_that_leaves_its_folder(node: Node) -> Wheel:
    """Add a wheel to the index whose archive has a path outside its folder, not listed in RECORD."""
    return node.wheel("evil", damage=Damage(unrecorded={"../../evil.txt": b"evil"}))


def _check_that_it_is_refused(node: Node, evil: Wheel, said: str) -> None:
    assert f"{evil.filename}: holds '../../evil.txt', which leaves the folder" in said
    assert not node.environment(f"{PLAIN}-torch2.4.1-cpu").exists()
    assert list(node.directory.rglob("evil.txt")) == []
    assert leftovers(node.prefix) == []


def test_a_wheel_that_leaves_its_folder_is_refused_in_the_company_of_a_broken_one(node: Node) -> None:
    evil, alpha = _wheel_that_leaves_its_folder(node), node.wheel()
    broken = node.wheel("broken", damage=Damage(truncated_to_bytes=300))
    node.define(
        environment_cell([alpha]),
        environment_cell([alpha, evil], "2.4.1"),
        environment_cell([alpha, broken], "2.5.1"),
    )
    for _ in range(2):  # the second time, only the two that failed are asked for
        said = node.install(code=7)
        _check_that_it_is_refused(node, evil, said)
        assert broken.filename in said or "broken==1.0" in said
        assert f"{alpha.filename}: " not in said
        assert node.environment().exists()


def test_a_wheel_that_leaves_its_folder_is_refused_after_a_kill_and_the_others_are_kept(node: Node) -> None:
    evil, alpha = _wheel_that_leaves_its_folder(node), node.wheel()
    node.define(environment_cell([alpha]), environment_cell([evil], "2.4.1"))
    node.install(code=-9, variables={"MONOBASE_FAULT_AT": "fetch:call"})
    _check_that_it_is_refused(node, evil, node.install(code=7))
    node.define(environment_cell([alpha]))
    node.install()
    node.verify()


def test_what_a_killed_install_brought_is_not_brought_again(node: Node) -> None:
    alpha = node.wheel()
    node.define(environment_cell([alpha]))
    node.install(code=-9, variables={"MONOBASE_FAULT_AT": "fetch:call"})
    node.install()
    assert node.index.log.wheel_attempts() == {alpha.filename: 1}
    node.verify()


def test_what_another_uv_brought_is_not_built_on(node: Node) -> None:
    evil, alpha = _wheel_that_leaves_its_folder(node), node.wheel()
    node.define(environment_cell([alpha]), environment_cell([evil], "2.4.1"))
    target = node.directory / "elsewhere"
    subprocess.run(
        [uv_binary(), "pip", "install", "--target", target, "--no-deps", "alpha", "evil"],
        check=True, capture_output=True,
        env=node.environment_variables(
            {"UV_CACHE_DIR": str(node.prefix.uv_cache), "UV_PYTHON": sys.executable}
        ),
    )  # fmt: skip
    _check_that_it_is_refused(node, evil, node.install(code=7))
    assert node.environment().exists()
    node.verify()


@pytest.mark.parametrize("path", ["..\\..\\evil.txt", "C:\\evil.txt", "/evil.txt", "a/../../evil.txt"])
def test_a_name_that_leaves_the_folder_somewhere_is_refused_in_record_too(node: Node, path: str) -> None:
    evil = node.wheel("evil", damage=Damage(escaping={path: b"evil"}))
    broken = node.wheel("broken", damage=Damage(truncated_to_bytes=300))
    node.define(environment_cell([evil, broken]), environment_cell([evil], "2.4.1"))
    said = node.install(code=7)
    assert f"{evil.filename}: " in said
    _check_that_nothing_is_there(node)


def test_what_stands_already_is_used_beside_a_wheel_that_leaves_its_folder(node: Node) -> None:
    alpha, beta = node.wheel(), node.wheel("beta")
    node.define(environment_cell([alpha, beta]))
    node.install(code=-9, variables={"MONOBASE_FAULT_AT": "fetch:call"})
    evil = _wheel_that_leaves_its_folder(node)
    node.define(environment_cell([alpha, beta]), environment_cell([alpha, evil], "2.4.1"))
    _check_that_it_is_refused(node, evil, node.install(code=7))
    assert node.environment().exists()
    assert node.index.log.wheel_downloads()[alpha.filename] == 1
