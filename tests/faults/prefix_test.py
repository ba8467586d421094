"""Prefixes that cannot do what an install needs are refused with the reason; odd names are no reason."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.faults.mount import bound, private_mounts, read_only, tmpfs
from tests.faults.system_calls import everything, strace_program
from tests.index.server import LocalIndex
from tests.node.node import PLAIN, SITE, Node, make_node
from tests.synthetic.catalog import environment_cell

pytest_plugins = ["tests.index.fixture"]

_MB = 1_000_000
_OTHER = f"{PLAIN}-torch2.4.1-cpu"
# The error of a file system without hard links, such as FAT.
_NO_LINKS = ("-e", "trace=link,linkat", "-e", "inject=link,linkat:error=EPERM", "-o", os.devnull)


@pytest.fixture(scope="module")
def _mounts() -> None:
    private_mounts()


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    node = make_node(local_index, tmp_path)
    alpha = node.wheel()
    node.define(environment_cell([alpha]), environment_cell([alpha], "2.4.1"))
    return node


def _check_that_nothing_is_installed(node: Node) -> None:
    assert node.prefix.installed_generations() == []
    assert node.index.log.wheel_downloads() == {}


def _alpha(node: Node, name: str) -> Path:
    return node.environment(name) / SITE / "alpha" / "__init__.py"


def test_a_file_system_without_hard_links_is_refused_with_the_reason(node: Node) -> None:
    _need_strace()
    said = node.install(code=5, before=everything(*_NO_LINKS))
    assert "the file system has no hard links" in said
    assert "--copy" in said
    _check_that_nothing_is_installed(node)


def test_a_file_system_without_hard_links_is_filled_with_copies_when_asked(node: Node) -> None:
    _need_strace()
    node.install("--copy", before=everything(*_NO_LINKS))
    assert _alpha(node, PLAIN).stat().st_nlink == 1
    assert _alpha(node, _OTHER).stat().st_nlink == 1
    assert not _alpha(node, PLAIN).samefile(_alpha(node, _OTHER))
    node.verify()


@pytest.mark.usefixtures("_mounts")
def test_a_cache_on_another_file_system_is_refused_with_the_reason(node: Node) -> None:
    with tmpfs(node.prefix.uv_cache, size_bytes=50 * _MB):
        said = node.install(code=5)
        assert "they are on different mounts" in said
        assert str(node.prefix.uv_cache) in said
        assert "--copy" in said
        _check_that_nothing_is_installed(node)


@pytest.mark.usefixtures("_mounts")
def test_a_cache_on_another_mount_of_the_same_file_system_is_refused_with_the_reason(node: Node) -> None:
    elsewhere = node.directory / "elsewhere"
    elsewhere.mkdir()
    node.prefix.uv_cache.mkdir(parents=True)
    assert elsewhere.stat().st_dev == node.root.stat().st_dev
    with bound(elsewhere, node.prefix.uv_cache):
        said = node.install(code=5)
        assert "they are on different mounts" in said
        _check_that_nothing_is_installed(node)


@pytest.mark.usefixtures("_mounts")
def test_a_cache_on_another_file_system_is_copied_from_when_asked(node: Node) -> None:
    with tmpfs(node.prefix.uv_cache, size_bytes=50 * _MB):
        node.install("--copy")
        assert _alpha(node, PLAIN).stat().st_dev == node.root.stat().st_dev
        node.verify()
    node.verify()  # the cache is gone, the environments are not


@pytest.mark.usefixtures("_mounts")
def test_a_read_only_prefix_is_refused_with_the_reason(node: Node) -> None:
    node.root.mkdir()
    with read_only(node.root):
        said = node.install(code=5)
    assert re.search(rf"^error: .*{re.escape(str(node.root))}.*Read-only file system", said, re.MULTILINE), (
        said
    )
    assert "Traceback" not in said


@pytest.mark.usefixtures("_mounts")
def test_an_installed_prefix_works_read_only_and_an_install_on_it_says_why_not(node: Node) -> None:
    node.install()
    with read_only(node.root):
        node.verify()
        said = subprocess.run(
            [node.environment() / "bin" / "python", "-c", "import alpha; print(alpha.NAME)"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert said.stdout == "alpha 1.0\n"
        refused = node.install(code=5)
        assert "Read-only file system" in refused
        assert "Traceback" not in refused


@pytest.mark.parametrize(
    "name", ["with spaces", "größe-環境-✓", "quote ' and \" and $HOME", "a;b&c", "-dash", "%20"]
)
def test_a_prefix_of_any_name_is_installed_and_used(node: Node, name: str) -> None:
    odd = node.with_prefix(node.directory / name / "pre fix")
    wheel = odd.wheel("tool", console_scripts={"tool": "tool:main"}, files={
        "tool/__init__.py": b"def main():\n    print('it runs')\n"
    })  # fmt: skip
    odd.define(environment_cell([wheel]), environment_cell([wheel], "2.4.1"))
    odd.install()
    assert odd.is_sealed()
    odd.verify()
    for environment in (PLAIN, _OTHER):
        script = odd.environment(environment) / "bin" / "tool"
        said = subprocess.run([script], capture_output=True, text=True, check=True)
        assert said.stdout == "it runs\n"
    paths = [odd.environment(name) / SITE / "tool" / "__init__.py" for name in (PLAIN, _OTHER)]
    assert paths[0].samefile(paths[1])


def test_a_prefix_that_a_user_may_not_write_to_is_refused_with_the_reason(node: Node) -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("to become another user, root and setpriv are needed")
    node.directory.chmod(0o755)
    closed = node.with_prefix(node.directory / "closed" / "prefix")
    closed.root.parent.mkdir(mode=0o755)
    # The interpreter and the sources may lie where only root looks: so it is root without root's rights.
    without_rights = [
        "setpriv",
        "--bounding-set=-all",
        "--inh-caps=-all",
        "--securebits=+noroot,+noroot_locked",
    ]
    closed.root.parent.chmod(0o555)
    said = closed.install(code=5, before=without_rights)
    assert "Permission denied" in said
    assert str(closed.root) in said
    assert "Traceback" not in said


def test_a_prefix_below_a_file_is_refused_with_the_reason(node: Node) -> None:
    (node.directory / "file").write_text("")
    below = node.with_prefix(node.directory / "file" / "prefix")
    said = below.install(code=5)
    assert str(below.root) in said
    assert "Not a directory" in said
    assert "Traceback" not in said


def test_a_relative_prefix_is_the_one_below_the_working_folder(node: Node) -> None:
    relative = node.with_prefix(Path("relative prefix"))
    relative.install()
    node.with_prefix(node.directory / "relative prefix").verify()


def _need_strace() -> None:
    if strace_program() is None:
        pytest.skip("strace is not installed here; the toolbox of ./bazelw has it")


@pytest.mark.usefixtures("_mounts")
@pytest.mark.parametrize("options", [(), ("--copy",)])
@pytest.mark.parametrize("store", ["uv/python", "cuda", "pyc", "files", "wheels", "monobase"])
def test_a_store_on_another_mount_is_refused_before_anything_is_fetched(
    node: Node, store: str, options: tuple[str, ...]
) -> None:
    with tmpfs(node.root / store, size_bytes=50 * _MB):
        said = node.install(*options, code=5)
        assert "they are on different mounts" in said
        assert str(node.root / store) in said
        assert "Traceback" not in said
        _check_that_nothing_is_installed(node)


@pytest.mark.parametrize(
    ("error", "code"),
    [("EDQUOT", 5), ("ESTALE", 5), ("EIO", 5), ("ENOMEM", 11), ("EMFILE", 11), ("EAGAIN", 11)],
)
def test_what_the_system_refuses_has_a_documented_code_and_a_sentence(
    node: Node, error: str, code: int
) -> None:
    _need_strace()
    inject = ("-e", "trace=syncfs,fsync", "-e", f"inject=syncfs,fsync:error={error}", "-o", os.devnull)
    said = node.install(code=code, before=everything(*inject))
    assert re.search(r"^error: ", said, re.MULTILINE), said
    assert "Traceback" not in said
    node.install()
    node.verify()


@pytest.mark.parametrize(
    "content", [b"\x7fELF no program", b"#!/nowhere/interpreter\n", b"#!/bin/sh\nkill -9 $$\n", None]
)
def test_a_uv_that_does_not_run_is_told_with_its_path(node: Node, content: bytes | None) -> None:
    program = node.directory / "uv"
    if content is not None:
        program.write_bytes(content)
        program.chmod(0o755)
    said = node.install("--uv", str(program), code=11)
    assert str(program) in said
    assert "Traceback" not in said


@pytest.mark.parametrize("name", ["tab\there", "line\nbreak", "co:lon", "bell\a"])
def test_a_prefix_that_lines_cannot_carry_is_refused_at_once(node: Node, name: str) -> None:
    odd = node.with_prefix(node.directory / name)
    for verb in ("install", "verify", "status"):
        done = odd.run(verb, code=2)
        assert "the path of a prefix has no colon" in done.stderr
        assert "Traceback" not in done.stderr
    assert not odd.root.exists()
