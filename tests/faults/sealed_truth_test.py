"""Tests that nothing modified is sealed: every byte was read and compared in the same run."""

import gzip
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.prefix.inventory import inventory_path
from tests.faults.tree import read_tree
from tests.index.fault import status
from tests.index.server import LocalIndex
from tests.index.wheel import Damage, Wheel
from tests.node.node import BYTECODE_SUFFIX, PLAIN, SITE, Node, make_node
from tests.synthetic.catalog import PYTHON, environment_cell, toolkit_cell

pytest_plugins = ["tests.index.fixture"]

_MODULE = b"def answer():\n    return 'right'\n"
_BYTECODE = f"{SITE}/alpha/__pycache__/m.{BYTECODE_SUFFIX}"


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    return make_node(local_index, tmp_path)


def _alpha(node: Node, version: str = "1.0") -> Wheel:
    files = {"alpha/__init__.py": f"V = '{version}'\n".encode(), "alpha/m.py": _MODULE}
    return node.wheel("alpha", version, files=files)


def _overwrite(path: Path, old: bytes, new: bytes) -> None:
    """Change bytes in place, for all links of the inode, and keep the size and the time of change."""
    assert len(old) == len(new)
    content = path.read_bytes()
    assert old in content
    status = path.stat()
    with path.open("r+b") as file:
        file.write(content.replace(old, new))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _answer(node: Node, generation: str, name: str = PLAIN) -> str:
    python = node.environment(name, generation) / "bin" / "python"
    statement = "import alpha.m; print(alpha.m.answer())"
    return subprocess.run(
        [python, "-I", "-c", statement], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_bytecode_that_was_written_to_is_made_anew_for_all(node: Node, version: str) -> None:
    alpha = _alpha(node)
    node.define(environment_cell([alpha]))
    node.install()
    _overwrite(node.environment() / _BYTECODE, b"right", b"wrong")
    assert _answer(node, "g00000") == "wrong"  # Python does not look at the source: nobody else would notice
    other = alpha if version == "1.0" else _alpha(node, version)
    node.define(environment_cell([other]), generation=1)
    node.install()
    assert _answer(node, "g00001") == "right"
    assert _answer(node, "g00000") == "right"
    node.verify()


@pytest.mark.parametrize("path", ["alpha/m.py", "alpha/__init__.py"])
def test_a_wheel_that_was_written_to_is_brought_anew_before_it_is_used_again(node: Node, path: str) -> None:
    alpha = _alpha(node)
    node.define(environment_cell([alpha]))
    node.install()
    _overwrite(node.environment() / SITE / path, b"r" if path == "alpha/m.py" else b"V", b"X")
    node.define(environment_cell([alpha]), generation=1)
    said = node.install()
    assert f"{alpha.filename}: its copy in uv's cache is damaged (1 files, such as {path})" in said
    assert node.index.log.wheel_attempts() == {alpha.filename: 2}
    assert [line for line in node.differences() if "g00001" in line] == []
    assert _answer(node, "g00001") == "right"


@pytest.mark.parametrize("harm", ["mode", "missing", "extra", "link", "empty"])
def test_a_wheel_in_the_cache_that_is_otherwise_not_what_it_was_is_brought_anew(
    node: Node, harm: str
) -> None:
    alpha = _alpha(node)
    node.define(environment_cell([alpha]))
    node.install()
    module = next(path for path in node.prefix.uv_cache.rglob("m.py") if "alpha" in path.parts)
    if harm == "mode":
        module.chmod(0o777)
    elif harm == "extra":
        (module.parent / "more.py").write_bytes(b"")
    else:
        module.unlink()
        if harm == "link":
            module.symlink_to("/etc/hostname")
        elif harm == "empty":
            module.mkdir()
    node.define(environment_cell([alpha]), generation=1)
    node.install()
    assert [line for line in node.differences() if "g00001" in line] == []
    assert _answer(node, "g00001") == "right"


def test_a_damaged_wheel_that_the_index_has_no_more_is_not_sealed(node: Node) -> None:
    alpha = _alpha(node)
    beta = node.wheel("beta")
    node.define(environment_cell([alpha]))
    node.install()
    _overwrite(node.environment() / SITE / "alpha" / "m.py", b"right", b"wrong")
    node.define(environment_cell([alpha]), environment_cell([beta], "2.4.1"), generation=1)
    with node.index.fault(status("*alpha*", code=404, times=None)):
        said = node.install(code=4)
    assert "alpha" in said
    assert not node.is_sealed("g00001")
    assert not node.environment(generation="g00001").exists()
    assert node.environment(f"{PLAIN}-torch2.4.1-cpu", "g00001").exists()


def test_a_toolkit_that_was_written_to_is_not_sealed_into_another_generation(node: Node) -> None:
    cublas = node.wheel(
        "nvidia-cublas-cu12", "12.4.5.8",
        files={"nvidia/cublas/lib/libcublas.so.12": b"\x7fELF right", "nvidia/cublas/include/c.h": b"//\n"},
    )  # fmt: skip
    node.define(toolkit_cell([cublas], "12.4.1"))
    node.install()
    library = node.environment("cuda12.4") / "lib64" / "libcublas.so.12"
    fresh = library.with_name("fresh")
    fresh.write_bytes(b"\x7fELF wrong")
    fresh.rename(library)
    node.define(toolkit_cell([cublas], "12.4.1"), generation=1)
    said = node.install(code=1)
    assert "g00001/cuda12.4: was published by an earlier install and has 1 difference" in said
    assert not node.is_sealed("g00001")


def test_a_part_that_was_written_to_before_the_rest_came_is_not_sealed(node: Node) -> None:
    alpha, beta = _alpha(node), node.wheel("beta")
    node.define(environment_cell([alpha]), environment_cell([beta], "2.4.1"))
    node.index.repository.lose(beta.filename)
    node.install(code=4)
    configuration = node.environment() / "pyvenv.cfg"
    configuration.write_bytes(configuration.read_bytes() + b"\n")
    node.index.add(beta.spec)
    said = node.install(code=1)
    assert f"g00000/{PLAIN}: was published by an earlier install" in said
    assert not node.prefix.sealed_mark("g00000").exists()


def test_what_was_written_to_in_a_sealed_part_is_found_after_the_rest_came(node: Node) -> None:
    alpha, beta = _alpha(node), node.wheel("beta")
    node.define(environment_cell([alpha]), environment_cell([beta], "2.4.1"))
    node.install("--only", PLAIN)
    configuration = node.environment() / "pyvenv.cfg"
    configuration.write_bytes(configuration.read_bytes() + b"\n")
    node.install()
    assert node.is_sealed()
    assert f"{PLAIN}/pyvenv.cfg" in node.verify(code=1)


def test_nothing_of_a_sealed_generation_is_written_to_by_a_wheel_with_the_installers_own_names(
    node: Node,
) -> None:
    content = b"content of a sealed file, which a later wheel brings under a name of the installer's\n"
    alpha = node.wheel(files={"alpha/__init__.py": b"", "alpha/data": content})
    node.define(environment_cell([alpha]))
    node.install()
    before = read_tree(node.environment())
    evil = node.wheel("evil", data={"data/.manifest": content})
    good = node.wheel("good")
    node.define(environment_cell([evil]), environment_cell([good], "2.4.1"), generation=1)
    said = node.install(code=7)
    assert "evil 1.0: brings .manifest, which belongs to the environment itself" in said
    assert read_tree(node.environment()) == before
    assert node.environment(f"{PLAIN}-torch2.4.1-cpu", "g00001").exists()
    node.verify()


def test_an_inventory_that_is_made_again_leaves_those_that_refer_to_it_whole(node: Node) -> None:
    alpha = _alpha(node)
    node.define(environment_cell([alpha]))
    node.install()
    inventory = inventory_path(node.prefix, alpha.sha256)
    text = gzip.decompress(inventory.read_bytes())
    inventory.write_bytes(gzip.compress(text, compresslevel=1))  # as another zlib would have written it
    node.verify()
    written = inventory.read_bytes()
    shutil.rmtree(node.prefix.uv_cache)
    node.define(environment_cell([alpha]), generation=1)
    node.install()
    assert inventory.read_bytes() == written  # one of the same content is never replaced
    node.verify()


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"data": {f"data/{SITE}/x.py": b"a = 1\n"}}, "one 1.0 and two 1.0 both bring x.py"),
        ({"console_scripts": {"tool": "one:other"}}, "both bring bin/tool"),
        ({"data": {"data/pyvenv.cfg": b"home = /\n"}}, "one 1.0: brings pyvenv.cfg, which belongs to"),
        ({"console_scripts": {"activate": "one:main"}}, "one 1.0: brings bin/activate, which belongs to"),
        ({"files": {"two-1.1.dist-info/METADATA": b"Name: two\n"}}, "Multiple .dist-info directories"),
        ({"files": {f"__pycache__/x.{BYTECODE_SUFFIX}": b""}}, "the bytecode of a source of two 1.0"),
        ({"files": {f"{'m' * 247}.py": b""}}, "longer name than the 255 bytes that a file system takes"),
        ({"files": {"one/m.py": b"", "one/__pycache__": b""}}, "needs a folder"),
    ],
)
def test_a_contradiction_is_refused_whatever_way_a_file_takes_and_the_rest_is_installed(
    node: Node, files: dict[str, Any], told: str
) -> None:
    settings: dict[str, Any] = {"files": {"one/__init__.py": b""}}
    one = node.wheel("one", "1.0", **(settings | files))
    two = node.wheel("two", files={"x.py": b"b = 1\n"}, console_scripts={"tool": "two:main"})
    node.define(environment_cell([one, two]), environment_cell([two], "2.4.1"))
    said = node.install(code=7)
    assert told in said
    assert "Traceback" not in said
    assert not node.environment().exists()
    assert node.environment(f"{PLAIN}-torch2.4.1-cpu").exists()
    node.verify()


def test_what_two_packages_bring_alike_is_no_contradiction(node: Node) -> None:
    shared = {"ns/__init__.py": b"", "x.py": b"a = 1\n"}
    one = node.wheel("one", files=shared, console_scripts={"tool": "x:main"})
    two = node.wheel(
        "two", files={"ns/__init__.py": b""}, data={"purelib/x.py": b"a = 1\n"},
        console_scripts={"tool": "x:main"},
    )  # fmt: skip
    node.define(environment_cell([one, two]))
    node.install()
    node.verify()


def test_a_pip_has_the_command_of_its_python_that_uv_makes(node: Node) -> None:
    pip = node.wheel("pip", console_scripts={"pip": "pip:main", "pip3": "pip:main", "pip3.9": "pip:main"})
    node.define(environment_cell([pip]))
    node.install()
    commands = {path.name for path in (node.environment() / "bin").glob("pip*")}
    assert commands == {"pip", "pip3", f"pip{PYTHON}"}


def test_empty_folders_of_a_wheel_are_in_no_environment(node: Node) -> None:
    folders = {"alpha/cache/": b"", "alpha/a/b/": b""}
    node.define(environment_cell([node.wheel(damage=Damage(unrecorded=folders))]))
    node.install()
    assert [path.name for path in (node.environment() / SITE / "alpha").iterdir() if path.is_dir()] == [
        "__pycache__"
    ]
    node.verify()


def _replaced_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _replaced_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


_STORE_HARMS: dict[str, Callable[[Path], object]] = {
    "closed": lambda path: path.chmod(0o600),
    "open to all": lambda path: path.chmod(0o777),
    "folder": _replaced_by_folder,
    "pipe": _replaced_by_pipe,
}


@pytest.mark.parametrize("harm", _STORE_HARMS)
def test_whatever_stands_in_the_stores_the_next_generation_is_sealed_and_right(node: Node, harm: str) -> None:
    alpha = _alpha(node)
    node.define(environment_cell([alpha]))
    node.install()
    for store in (node.prefix.bytecode, node.prefix.files, node.prefix.wheels):
        for path in sorted(path for path in store.rglob("*") if path.is_file()):
            _STORE_HARMS[harm](path)
    beta = node.wheel("beta", files={"beta/m.py": _MODULE})
    node.define(environment_cell([alpha, beta]), generation=1)
    node.install()
    assert [line for line in node.differences() if "g00001" in line] == []
    assert _answer(node, "g00001") == "right"
    node.run("verify", "--repair")
    node.verify()


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("nvidia/one/include/x", "nvidia/two/include/x/y.h"),
        ("nvidia/one/include/x/y.h", "nvidia/two/include/x"),
        ("nvidia/one/include/x.h", "nvidia/two/include/x.h"),
    ],
)
def test_wheels_of_a_toolkit_that_contradict_each_other_are_refused_and_the_rest_is_installed(
    node: Node, one: str, two: str
) -> None:
    wheels = [
        node.wheel("nvidia-one", files={one: b"one"}),
        node.wheel("nvidia-two", files={two: b"two"}),
    ]
    node.define(toolkit_cell(wheels, "12.4.1"), environment_cell([_alpha(node)]))
    said = node.install(code=7)
    assert "g00000/cuda12.4: " in said
    assert "nvidia-two" in said
    assert "Traceback" not in said
    assert node.environment().exists()
    assert not node.is_sealed()
    node.verify()
