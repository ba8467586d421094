"""Tests of install_wheel.py: what lies in the folder, with the real pip and without an index."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.index.wheel import WheelSpec, write_wheel
from tools.python import install_wheel

SPEC = WheelSpec(
    name="sample",
    version="1.0",
    files={"sample/__init__.py": b"NAME = 1\n"},
    data={"scripts/program": b"\x7fELF program"},
    executables=frozenset({"sample-1.0.data/scripts/program"}),
    console_scripts={"hello": "sample:main"},
)


@pytest.fixture
def requirements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A line for the wheel of SPEC, where pip's own configuration says that wheels are."""
    wheel = write_wheel(SPEC, tmp_path)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    file = tmp_path / "requirements.txt"
    file.write_text(wheel.requirement)
    return file


def _install(requirements: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, install_wheel.__file__, str(requirements), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_packages_and_programs_are_installed_and_scripts_with_a_path_of_this_machine_are_not(
    requirements: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "site-packages"
    result = _install(requirements, folder)
    assert result.returncode == 0, result.stderr
    assert (folder / "sample/__init__.py").read_bytes() == b"NAME = 1\n"
    assert [path.name for path in (folder / "bin").iterdir()] == ["program"]
    assert (folder / "bin/program").stat().st_mode & 0o111
    assert not list(folder.rglob("RECORD")), "it has the digest of the script"


def test_modules_are_compiled_to_bytes_that_depend_on_no_time_and_no_place(
    requirements: Path, tmp_path: Path
) -> None:
    compiled = []
    for name in ("here", "there"):
        result = _install(requirements, tmp_path / name)
        assert result.returncode == 0, result.stderr
        (file,) = (tmp_path / name).rglob("*.pyc")
        compiled.append(file.read_bytes())
    assert compiled[0] == compiled[1]
    assert compiled[0][4:8] == b"\x01\0\0\0", "found by hash, which is not checked"


def test_a_wheel_with_other_bytes_is_refused(requirements: Path, tmp_path: Path) -> None:
    requirements.write_text(f"sample==1.0 --hash=sha256:{'0' * 64}\n")
    result = _install(requirements, tmp_path / "site-packages")
    assert result.returncode != 0
    assert "HASH" in result.stderr.upper()
    assert not (tmp_path / "site-packages/sample").exists()


def test_an_interpreter_without_pip_gets_debian_s_newest_wheel_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(install_wheel.NoPipError, match="python3-pip-whl"):
        install_wheel.find_pip(tmp_path)
    for version in ("24.0", "25.0"):
        (tmp_path / f"pip-{version}-py3-none-any.whl").touch()
    assert install_wheel.find_pip(tmp_path) == tmp_path / "pip-25.0-py3-none-any.whl"


def test_an_interpreter_with_pip_uses_it(tmp_path: Path) -> None:
    assert install_wheel.find_pip(tmp_path) is None
