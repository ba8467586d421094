"""Wheels made of what is installed are what an installer takes."""

import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

from tests.gpu.repack import repack, with_requirements
from tests.index.client import pip_environment
from tests.index.server import LocalIndex
from tests.index.wheel import WheelSpec, write_wheel


def _install(target: Path, *wheels: Path) -> None:
    with LocalIndex() as index:
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--no-deps", "--target", target, *wheels],
            check=True, capture_output=True, env=pip_environment(index, target.parent),
        )  # fmt: skip


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc" and path.name != "RECORD"
    }


def test_a_repacked_wheel_installs_what_the_first_one_did(tmp_path: Path) -> None:
    spec = WheelSpec(
        "Alpha_Beta", "1.0+cu130", "cp312", "cp312", "manylinux_2_17_x86_64.manylinux2014_x86_64",
        requires_dist=("gamma>=1",),
        files={"alpha/__init__.py": b"NAME = 1\n", "alpha/lib/libalpha.so.1": bytes(range(256)) * 400},
        executables=frozenset({"alpha/lib/libalpha.so.1"}),
        console_scripts={"alpha": "alpha:main"},
    )  # fmt: skip
    wheel = write_wheel(spec, tmp_path / "wheels")
    first = tmp_path / "first"
    subprocess.run(
        [sys.executable, "-c", "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])",
         wheel.path, first],
        check=True,
    )  # fmt: skip
    (first / "alpha" / "lib" / "libalpha.so.1").chmod(0o755)

    (held,) = distributions(path=[str(first)])
    again = repack(held, tmp_path / "again")

    assert again.filename == wheel.filename
    assert again.metadata == wheel.metadata
    second = tmp_path / "second"
    subprocess.run(
        [sys.executable, "-c", "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])",
         again.path, second],
        check=True,
    )  # fmt: skip
    assert _files(second) == _files(first)


def test_what_pip_has_installed_is_repacked_for_pip(tmp_path: Path) -> None:
    files = {"alpha/__init__.py": b"NAME = 'alpha'\n\n\ndef main():\n    print(NAME)\n"}
    spec = WheelSpec("alpha", "1.0", files=files, console_scripts={"alpha": "alpha:main"})
    _install(tmp_path / "first", write_wheel(spec, tmp_path / "wheels").path)
    (held,) = distributions(path=[str(tmp_path / "first")])

    _install(tmp_path / "second", repack(held, tmp_path / "again").path)

    code = "import sys; sys.path.insert(0, sys.argv[1]); import alpha; alpha.main()"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, tmp_path / "second"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "alpha\n"
    assert (tmp_path / "second" / "bin" / "alpha").exists()
    (again,) = distributions(path=[str(tmp_path / "second")])
    assert again.version == "1.0"


def test_what_a_distribution_requires_comes_along_and_no_extra_that_nobody_asked_for() -> None:
    names = {held.metadata["Name"].lower() for held in with_requirements(["pytest"])}

    assert {"pytest", "pluggy", "iniconfig", "packaging"} <= names
    assert "hypothesis" not in names  # of the extra `dev`
