"""`NAME.run` of the example of a model, as Bazel built it."""

import os
import subprocess
from pathlib import Path

import pytest

from runtime.sample_prefix import PYTHON, SamplePrefix
from tests.index.wheel import WheelSpec, write_wheel

GENERATION, TORCH, BUILD = "g00003", "2.13.0", "cu130"
IMPORTS = (
    "import blake3, msgspec, torch, os; print(torch.__version__, os.listdir(), os.environ['TORCH_VERSION'])"
)


@pytest.fixture
def prefix(tmp_path: Path) -> SamplePrefix:
    (tmp_path / "wheels").mkdir()
    files = {"torch/__init__.py": f"__version__ = {TORCH!r}\n".encode()}
    write_wheel(WheelSpec("torch", TORCH, files=files), tmp_path / "wheels")
    prefix = SamplePrefix(tmp_path / "prefix", tmp_path / "wheels")
    generation = prefix.generation(GENERATION)
    generation.lines.append(f"python {PYTHON} {PYTHON}.9")
    prefix.install(generation.folder / generation.environment(PYTHON, TORCH, BUILD), {"torch": TORCH})
    generation.write()
    (prefix.root / "monobase" / "latest").symlink_to(GENERATION)
    return prefix


def run(home: Path, *arguments: str | Path, code: int = 0) -> str:
    """Run the program as `bazel run` does; return its stdout, or its stderr if it is to fail."""
    given = os.environ["MONOBASE_ECHO_ARGUMENTS"].split()
    done = subprocess.run(
        [Path(os.environ["MONOBASE_ECHO_RUN"]).absolute(), *given, *arguments],
        env={"HOME": str(home), "PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code else done.stdout


def test_the_example_runs_in_its_environment_with_its_packages_and_its_code(
    prefix: SamplePrefix, tmp_path: Path
) -> None:
    said = run(tmp_path, "--prefix", prefix.root, "python", "-c", IMPORTS)
    assert said == f"{TORCH} ['server.py'] {TORCH}+{BUILD}\n"
    assert list(tmp_path.glob(".cache/monobase/layers/*/.monobase-layer"))


def test_an_environment_that_is_not_here_is_named_with_the_command_that_installs_it(tmp_path: Path) -> None:
    said = run(tmp_path, "--prefix", tmp_path / "nowhere", code=3)
    assert f"{GENERATION}/python{PYTHON}-torch{TORCH}-{BUILD}: is not installed on this machine" in said
    assert f"--only python{PYTHON}-torch{TORCH}-{BUILD}" in said


def test_the_options_of_the_command_are_the_command_s(prefix: SamplePrefix, tmp_path: Path) -> None:
    assert run(tmp_path, "--prefix", prefix.root, "python", "--version").startswith(f"Python {PYTHON}.")
    assert "--prefix" in run(tmp_path, "--help")
