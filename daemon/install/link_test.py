"""Environments in the staging folder are what their wheels hold, to the byte, or are refused."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.errors import WheelContentError
from daemon.host.known_contents import KnownContents
from daemon.install.link import Linker
from daemon.install.linked_tree import LinkedTree
from daemon.prefix.content_store import ContentStore
from daemon.prefix.inventory_cache import InventoryCache
from daemon.prefix.staging import begin_staging
from tests.fake_prefix.fake_prefix import SITE_PACKAGES, FakePrefix
from tests.fake_uv.fake_uv import FakeUv, fake_interpreter, wanted_tree
from tests.index.wheel import Wheel
from tests.synthetic.catalog import environment_cell

_FILES = {"alpha/__init__.py": b"NAME = 'alpha'\n", "alpha/data": b"data\n"}


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    begin_staging(fake.prefix)
    return fake


def _linker(fake: FakePrefix, uv: FakeUv, *, links: bool = True) -> Linker:
    store = ContentStore(fake.prefix.files, fake.prefix.staging, enabled=links)
    return Linker(fake.prefix, uv, store, InventoryCache(fake.prefix), KnownContents(1))


def _link(fake: FakePrefix, uv: FakeUv, *wheels: Wheel) -> LinkedTree:
    fake.define(0, environment_cell(wheels))
    return _linker(fake, uv).link_environment(wanted_tree(fake, 0), fake_interpreter(fake))


def _refusal(fake: FakePrefix, uv: FakeUv, *wheels: Wheel) -> str:
    with pytest.raises(WheelContentError) as caught:
        _link(fake, uv, *wheels)
    return str(caught.value)


def test_an_environment_is_hard_links_to_uvs_cache(fake: FakePrefix) -> None:
    alpha = fake.wheel("alpha", files=_FILES)
    tree = _link(fake, FakeUv(fake), alpha)
    for path in _FILES:
        assert (tree.directory / SITE_PACKAGES / path).samefile(fake.archive(alpha) / path)
    assert tree.copies == []


def test_its_manifest_names_what_no_inventory_does(fake: FakePrefix) -> None:
    alpha = fake.wheel(
        "alpha",
        data={"scripts/tool": b"#!python\nprint()\n", "data/share/model": b"weights"},
        console_scripts={"alpha": "alpha.cli:main"},
    )
    tree = _link(fake, FakeUv(fake), alpha)
    information = f"{SITE_PACKAGES}/alpha-1.0.dist-info"
    assert {file.path for file in tree.files} == {
        ".content", "bin/activate", "bin/alpha", "bin/tool", "pyvenv.cfg", "share/model",
        f"{SITE_PACKAGES}/_virtualenv.py", f"{information}/INSTALLER", f"{information}/RECORD",
    }  # fmt: skip
    assert {link.path for link in tree.links} == {"bin/python", "bin/python3"}


def test_it_says_which_wheels_it_has(fake: FakePrefix) -> None:
    alpha = fake.wheel("alpha")
    tree = _link(fake, FakeUv(fake), alpha)
    expected = hashlib.sha256(alpha.sha256.encode()).hexdigest()
    assert (tree.directory / ".content").read_text() == f"{expected}\n"


def test_it_names_its_very_interpreter_by_a_relative_link(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    tree = _link(fake, uv, fake.wheel("alpha"))
    link = (tree.directory / "bin/python").readlink()
    assert not link.is_absolute()
    program = fake_interpreter(fake).executable
    assert (tree.directory / "bin" / link).resolve() == program
    assert f"home = {program.parent}\n" in (tree.directory / "pyvenv.cfg").read_text()
    assert "relocatable = true\n" in (tree.directory / "pyvenv.cfg").read_text()


def test_the_lock_file_and_empty_folders_of_uv_are_removed(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    uv.after["venv"] = lambda tree: (tree / "include/python").mkdir(parents=True)
    tree = _link(fake, uv, fake.wheel("alpha"))
    assert not (tree.directory / ".lock").exists()
    assert not (tree.directory / "include").exists()


def test_files_that_uv_copied_become_one_inode_in_all_environments(fake: FakePrefix) -> None:
    alpha = fake.wheel("alpha", files=_FILES)
    fake.define(0, environment_cell([alpha]), environment_cell([alpha], "2.4.1"))
    linker = _linker(fake, FakeUv(fake, link_mode="copy"))
    trees = [
        linker.link_environment(wanted_tree(fake, 0, name), fake_interpreter(fake))
        for name in (fake.environment, f"{fake.environment}-torch2.4.1-cpu")
    ]
    files = [tree.directory / SITE_PACKAGES / "alpha/data" for tree in trees]
    assert not files[0].samefile(files[1])
    for tree in trees:
        linker.share(tree)
    assert files[0].samefile(files[1])
    assert files[0].samefile(fake.archive(alpha) / "alpha/data")


def test_two_wheels_that_contradict_each_other_are_refused_before_uv_runs(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    one = fake.wheel("one", files={"shared.py": b"a = 1\n"})
    two = fake.wheel("two", files={"shared.py": b"b = 1\n"})
    assert "one 1.0 and two 1.0 both bring shared.py, with different contents" in _refusal(fake, uv, one, two)
    assert uv.calls == []


def test_a_wheel_without_an_inventory_is_named(fake: FakePrefix) -> None:
    alpha = fake.wheel("alpha", cached=False)
    assert _refusal(fake, FakeUv(fake), alpha).startswith(f"{alpha.filename}: ")


def test_a_wheel_whose_archive_is_gone_is_named(fake: FakePrefix) -> None:
    alpha = fake.wheel("alpha", console_scripts={"alpha": "alpha.cli:main"})
    fake.archive(alpha).rename(fake.directory / "elsewhere")
    assert _refusal(fake, FakeUv(fake), alpha).startswith(f"{alpha.filename}: ")


def test_a_package_that_uv_venv_brings_is_refused(fake: FakePrefix) -> None:
    uv = FakeUv(fake)
    uv.after["venv"] = lambda tree: (tree / SITE_PACKAGES / "pip.py").touch()
    assert re.search(r"`uv venv` made lib/.*/pip\.py.*UV_VENV_SEED", _refusal(fake, uv, fake.wheel("alpha")))


def _replace(path: Path, content: bytes, mode: int = 0o644) -> None:
    path.unlink()
    path.write_bytes(content)
    path.chmod(mode)


def _link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tree: (tree / SITE_PACKAGES / "extra.pth").touch(), "uv installed .*extra.pth, which is in "),
        (lambda tree: (tree / SITE_PACKAGES / "alpha/data").unlink(), "uv left out 1 files, such as .*/data"),
        (lambda tree: (tree / "pyvenv.cfg").unlink(), "uv left out 1 files, such as pyvenv.cfg"),
        (lambda tree: _replace(tree / SITE_PACKAGES / "alpha/data", b"DATA\n"), "data has sha256:.* in its"),
        (
            lambda tree: _replace(tree / SITE_PACKAGES / "alpha/data", b"data\n", 0o666),
            "mode 666, in its wheel sha256:[0-9a-f]{64} and 644",
        ),
        (lambda tree: _replace(tree / "bin/activate", b"evil\n"), "bin/activate is not as `uv venv` made it"),
        (lambda tree: _replace(tree / "bin/alpha", b"import evil\n"), "bin/alpha is not what alpha 1.0"),
        (lambda tree: _replace(tree / "bin/tool", b"#!/bin/sh\nevil\n"), "bin/tool is not what alpha 1.0"),
        (lambda tree: _replace(tree / "bin/plain", b"evil\n"), "bin/plain is not what alpha 1.0"),
        (lambda tree: _link_to_itself(tree / "bin/tool"), "bin/tool is not a regular file"),
    ],
    ids=[
        "extra", "missing", "missing of the environment", "bytes", "mode", "of the environment",
        "entry point", "script", "script as it is", "link",
    ],
)  # fmt: skip
def test_a_tree_that_is_not_what_its_wheels_hold_is_refused(
    fake: FakePrefix, change: Callable[[Path], object], message: str
) -> None:
    uv = FakeUv(fake)
    uv.after["install"] = change
    alpha = fake.wheel(
        "alpha",
        files=_FILES,
        data={"scripts/tool": b"#!python\nprint()\n", "scripts/plain": b"#!/bin/sh\n"},
        console_scripts={"alpha": "alpha.cli:main"},
    )
    refusal = _refusal(fake, uv, alpha)
    assert refusal.startswith(f"g00000/{fake.environment}: ")
    assert re.search(message, refusal)


def test_a_system_interpreter_is_named_by_its_absolute_path(fake: FakePrefix, tmp_path: Path) -> None:
    fake.define(0, environment_cell([fake.wheel("alpha")]))
    program = tmp_path / "usr" / "python"
    program.parent.mkdir()
    program.touch()
    interpreter = fake_interpreter(fake)
    outside = type(interpreter)(program, interpreter.version, interpreter.cache_tag, managed=False)
    tree = _linker(fake, FakeUv(fake)).link_environment(wanted_tree(fake, 0), outside)
    assert (tree.directory / "bin/python").readlink() == program
