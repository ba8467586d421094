"""Packages of which a layer and its environment have parts: as if both were installed in one place."""

import importlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from layers.lock import Override
from runtime.sample_prefix import SITE_PACKAGES, SamplePrefix
from runtime.shells import EXEC, SYSTEM_PATH, Outcome, run
from tests.index.wheel import WheelSpec
from tests.layer.sample import ENVIRONMENT, layer_on, variables_of

pytest_plugins = ["runtime.fixtures"]

EXTEND_PATH = b"__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"
REAL = b"from space.theirs import V\n"
BOTH = "import space.mine, space.theirs; print(space.mine.V, space.theirs.V)"


def install_below(prefix: SamplePrefix, name: str, files: Mapping[str, bytes]) -> None:
    """Install files into the environment, as a distribution."""
    packages = prefix.root / "monobase" / "g00002" / ENVIRONMENT / SITE_PACKAGES
    for path, content in files.items():
        (packages / path).parent.mkdir(parents=True, exist_ok=True)
        (packages / path).write_bytes(content)
    (packages / f"{name}-1.0.dist-info").mkdir()
    (packages / f"{name}-1.0.dist-info" / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    )


def python_in(prefix: SamplePrefix, layer: Path, code: str, *options: str) -> Outcome:
    """Run code in a model with a layer."""
    return run(
        [str(EXEC), "python", *options, "-c", code], {"PATH": SYSTEM_PATH, **variables_of(prefix, layer)}
    )


@pytest.mark.parametrize("options", [(), ("-I",)], ids=["python", "python -I"])
@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (None, None),
        (b"", None),
        (None, b""),
        (b"", b""),
        (EXTEND_PATH, EXTEND_PATH),
        (EXTEND_PATH, None),
        (b'"""A namespace."""\n', b""),
        (None, REAL),
        (b"", REAL),
    ],
    ids=[
        "neither has an __init__",
        "only the layer's, an empty one",
        "only the environment's, an empty one",
        "both, empty ones",
        "both, of pkgutil",
        "only the layer's, of pkgutil",
        "both, one with a docstring",
        "only the environment's, which does something",
        "both, and the environment's does something",
    ],
)
def test_the_parts_of_a_package_are_joined(
    own_prefix: SamplePrefix,
    tmp_path: Path,
    mine: bytes | None,
    theirs: bytes | None,
    options: tuple[str, ...],
) -> None:
    def files(part: str, init: bytes | None) -> dict[str, bytes]:
        return {f"space/{part}.py": f"V = {part!r}\n".encode()} | (
            {} if init is None else {"space/__init__.py": init}
        )

    install_below(own_prefix, "theirs", files("theirs", theirs))
    layer = layer_on(own_prefix, tmp_path / "layer", WheelSpec("mine", "1.0", files=files("mine", mine)))

    assert python_in(own_prefix, layer, BOTH, *options) == Outcome(0, "mine theirs\n", "")
    if theirs == REAL:
        assert python_in(own_prefix, layer, "import space; print(space.V)") == Outcome(0, "theirs\n", "")


def test_parts_of_parts_are_joined(own_prefix: SamplePrefix, tmp_path: Path) -> None:
    install_below(
        own_prefix,
        "nvidia-a",
        {"nvidia/__init__.py": b"", "nvidia/cu/__init__.py": b"", "nvidia/cu/a.py": b"V = 1\n"},
    )
    files = {
        "nvidia/cu/__init__.py": b"",
        "nvidia/cu/b.py": b"V = 2\n",
        "nvidia/cu/sub/__init__.py": b"V = 3\n",
    }
    layer = layer_on(own_prefix, tmp_path / "layer", WheelSpec("nvidia-b", "1.0", files=files))
    code = (
        "from nvidia.cu import a, b, sub; import nvidia.cu; print(a.V, b.V, sub.V, len(nvidia.cu.__path__))"
    )

    assert python_in(own_prefix, layer, code) == Outcome(0, "1 2 3 2\n", "")


def test_a_package_of_the_layer_that_does_something_is_the_layers_as_a_whole(
    own_prefix: SamplePrefix, tmp_path: Path
) -> None:
    install_below(own_prefix, "whole", {"whole/__init__.py": b"V = 1\n", "whole/old.py": b""})
    layer = layer_on(
        own_prefix, tmp_path / "layer", WheelSpec("other", "1.0", files={"whole/__init__.py": b"V = 2\n"})
    )

    assert python_in(own_prefix, layer, "import whole; print(whole.V)") == Outcome(0, "2\n", "")
    assert "No module named 'whole.old'" in python_in(own_prefix, layer, "import whole.old").stderr


@pytest.mark.parametrize("init", [b"", b"V = 2\n"], ids=["an empty __init__", "one that does something"])
def test_an_override_hides_the_environments_version(
    own_prefix: SamplePrefix, tmp_path: Path, init: bytes
) -> None:
    old = {"over/__init__.py": b"import over.old\n", "over/old.py": b"", "over/data.txt": b"old"}
    install_below(own_prefix, "over", old)
    new = {"over/__init__.py": init, "over/new.py": b"V = 2\n", "over/data.txt": b"new"}
    layer = layer_on(
        own_prefix,
        tmp_path / "layer",
        WheelSpec("over", "2.0", files=new),
        overrides=(Override("over", "2.0", "1.0"),),
    )
    code = (
        "import importlib.metadata as m, importlib.resources as r, over, over.new, sys\n"
        "print(m.version('over'), r.files(over).joinpath('data.txt').read_text(), 'over.old' in sys.modules)"
    )

    assert python_in(own_prefix, layer, code) == Outcome(0, "2.0 new False\n", "")
    assert "No module named 'over.old'" in python_in(own_prefix, layer, "import over.old").stderr


def test_an_override_in_a_namespace_hides_its_own_part_only(own_prefix: SamplePrefix, tmp_path: Path) -> None:
    install_below(
        own_prefix, "ns-a", {"ns/__init__.py": b"", "ns/a/__init__.py": b"V = 1\n", "ns/a/old.py": b""}
    )
    install_below(own_prefix, "ns-b", {"ns/b/__init__.py": b"V = 'b'\n"})
    files = {"ns/__init__.py": b"", "ns/a/__init__.py": b"V = 2\n"}
    layer = layer_on(
        own_prefix,
        tmp_path / "layer",
        WheelSpec("ns-a", "2.0", files=files),
        overrides=(Override("ns-a", "2.0", "1.0"),),
    )

    assert python_in(own_prefix, layer, "import ns.a, ns.b; print(ns.a.V, ns.b.V)") == Outcome(0, "2 b\n", "")
    assert python_in(own_prefix, layer, "import ns.a.old").code == 1


def test_metadata_and_entry_points_of_both_are_seen(own_prefix: SamplePrefix, tmp_path: Path) -> None:
    spec = WheelSpec("mine", "1.0", files={"mine.py": b""}, console_scripts={"mine": "mine:main"})
    layer = layer_on(own_prefix, tmp_path / "layer", spec)
    code = (
        "import importlib.metadata as m\n"
        "commands = m.entry_points(group='console_scripts').names\n"
        "print(m.version('torch'), m.version('mine'), {'mine', 'torchrun'} <= commands)"
    )

    assert python_in(own_prefix, layer, code) == Outcome(0, "2.4.1 1.0 True\n", "")
    listed = run(
        [str(EXEC), "pip", "list", "--format=freeze"],
        {"PATH": SYSTEM_PATH, **variables_of(own_prefix, layer)},
    )
    assert {"mine==1.0", "torch==2.4.1"} <= set(listed.stdout.splitlines())


def test_extension_modules_and_data_of_both_are_found(own_prefix: SamplePrefix, tmp_path: Path) -> None:
    extension = str(importlib.import_module("_ctypes_test").__file__)  # a small one that CPython brings
    built = Path(extension).read_bytes()
    suffix = "".join(Path(extension).suffixes)
    install_below(own_prefix, "below", {f"space/_ctypes_test{suffix}": built, "space/below.txt": b"below"})
    files = {
        f"space/mine/_ctypes_test{suffix}": built,
        "space/mine/__init__.py": b"",
        "space/mine/data.txt": b"data",
    }
    layer = layer_on(own_prefix, tmp_path / "layer", WheelSpec("mine", "1.0", files=files))
    code = (
        "import importlib.resources as r, space, space.mine\n"
        "import space._ctypes_test as a, space.mine._ctypes_test as b\n"
        "print(a.__file__ != b.__file__, r.files(space).joinpath('below.txt').read_text(), "
        "r.files(space.mine).joinpath('data.txt').read_text())"
    )

    assert python_in(own_prefix, layer, code) == Outcome(0, "True below data\n", "")


def test_children_in_other_folders_and_with_other_variables_see_both(
    own_prefix: SamplePrefix, tmp_path: Path
) -> None:
    layer = layer_on(own_prefix, tmp_path / "layer", WheelSpec("mine", "1.0", files={"mine.py": b"V = 1\n"}))
    code = (
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'import torch, mine'], env={}, cwd='/', check=True)\n"
        "subprocess.run(['python', '-c', 'import torch, mine'], cwd='/', check=True)\n"
        "print(sys.prefix)"
    )

    assert python_in(own_prefix, layer, code) == Outcome(0, f"{layer}\n", "")


def test_without_site_only_the_standard_library_is_seen(own_prefix: SamplePrefix, tmp_path: Path) -> None:
    layer = layer_on(own_prefix, tmp_path / "layer", WheelSpec("mine", "1.0", files={"mine.py": b""}))

    outcome = python_in(own_prefix, layer, "import json, mine", "-S")

    assert "No module named 'mine'" in outcome.stderr


def test_libraries_of_the_layer_are_on_the_search_path(own_prefix: SamplePrefix, tmp_path: Path) -> None:
    layer = layer_on(
        own_prefix,
        tmp_path / "layer",
        WheelSpec("nvidia-x", "1.0", files={"nvidia/x/lib/libx.so": b"", "nvidia/x/__init__.py": b""}),
    )

    printed = run([str(EXEC), "env"], {"PATH": SYSTEM_PATH, **variables_of(own_prefix, layer)})

    assert f"{layer}/{SITE_PACKAGES}/nvidia/x/lib" in printed.variables["LD_LIBRARY_PATH"].split(":")
