"""Virtual environments for tests of the preparation, and what users and installers do to them."""

# ruff: noqa: S101 (it is for tests)

import os
import re
import subprocess
import sys
from pathlib import Path

import uv

from runtime.sample_prefix import PYTHON, SITE_PACKAGES, SamplePrefix
from runtime.shells import EXEC, SYSTEM_PATH, Outcome, read_only, run
from runtime.user_venv.copies import COMMAND_MARK
from runtime.user_venv.files import NEW
from runtime.user_venv.mark import is_prepared

WHERE = "import shared, torch, sys; print(shared.__version__, torch.__version__, sys.prefix)"


def python_of(venv: Path, code: str = WHERE, *options: str, **variables: str) -> Outcome:
    """Run code with the Python of a venv."""
    return run([str(venv / "bin" / "python"), *options, "-c", code], {"PATH": SYSTEM_PATH} | variables)


def make_venv(venv: Path, *options: str) -> None:
    """Create a venv as a Dockerfile does."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", *options, str(venv)], check=True)


def variables_of(prefix: SamplePrefix, venv: Path, **variables: str) -> dict[str, str]:
    """Return the variables of a model with a venv on top."""
    return {
        "PATH": SYSTEM_PATH,
        "MONOBASE_PREFIX": str(prefix.root),
        "MONOBASE_USER_VENV": str(venv),
        "PYTHON_VERSION": PYTHON,
    } | variables


def start_read_only(prefix: SamplePrefix, venv: Path) -> Outcome:
    """Start a model whose venv on top is mounted read-only."""
    command = [*read_only(venv), str(EXEC), "python", "-c", WHERE]
    return run(command, variables_of(prefix, venv, TORCH_VERSION="2.4.1"))


def assert_whole(venv: Path, base: Path) -> None:
    """Check that a venv is prepared, and sees what it has to see."""
    assert is_prepared(venv, base)
    assert [path.name for path in venv.rglob(f"{NEW}*")] == []
    assert python_of(venv) == Outcome(0, f"1.0 2.4.1 {venv}\n", "")
    names = "import importlib.metadata as m; print(sorted(d.name for d in m.distributions(path=[PATH])))"
    seen = python_of(venv, names.replace("PATH", repr(str(venv / SITE_PACKAGES)))).stdout
    assert seen == "['pip', 'shared', 'tool', 'torch']\n"
    assert COMMAND_MARK in (venv / "bin" / "tool").read_text()
    assert os.access(venv / "bin" / "tool", os.X_OK)


def dangle(venv: Path, interpreter: str = "/usr/local/nowhere/bin/python") -> None:
    """Change a venv to what a copy into an image without its interpreter is."""
    for link in (venv / "bin").glob("python*"):
        link.unlink()
    (venv / "bin" / "python").symlink_to(interpreter)
    (venv / "bin" / "python3").symlink_to("python")
    config = venv / "pyvenv.cfg"
    config.write_text(re.sub(r"(?m)^home = .*", f"home = {Path(interpreter).parent}", config.read_text()))


def uv_pip(prefix: SamplePrefix, venv: Path, *arguments: str) -> None:
    """Run uv pip on a venv, with the wheels of the prefix."""
    subprocess.run(
        [
            *(uv.find_uv_bin(), "--quiet", "--no-config", "--offline", "--no-cache", "pip", *arguments),
            *("--python", str(venv / "bin" / "python")),
        ],
        env={
            "PATH": SYSTEM_PATH,
            "UV_FIND_LINKS": str(prefix.wheels),
            "UV_NO_INDEX": "1",
            "UV_LINK_MODE": "copy",
        },
        check=True,
    )


def install_into(packages: Path, name: str, files: dict[str, str]) -> None:
    """Install files into a site-packages as a distribution that records them."""
    for path, text in files.items():
        file = packages / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    metadata = packages / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "RECORD").write_text("".join(f"{path},,\n" for path in files))
