import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.index.wheel import WheelSpec, write_wheel
from tools.workspace.venv import VenvError, find_interpreter, locate, make_venv


def write_program(folder: Path, script: str) -> Path:
    folder.mkdir(parents=True)
    program = folder / "python3.11"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def run(python: Path, code: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True, env=clean, cwd="/"
    )
    return done.stdout


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "wheels").mkdir()
    spec = WheelSpec("alpha", "1.0", files={"alpha.py": b"NAME = 'alpha'\n"})
    wheel = write_wheel(spec, tmp_path / "wheels")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    lock = tmp_path / "requirements.txt"
    lock.write_text(f"{wheel.requirement}\n")
    return lock


def test_the_environment_has_the_wheels_of_the_lock_and_the_source_tree(tmp_path: Path, lock: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "ours.py").write_text("NAME = 'ours'\n")
    make_venv(root / ".venv", locate(Path(sys.executable)), lock, root)
    code = "import alpha, ours, sys; print(alpha.NAME, ours.NAME, sys.prefix)"
    assert run(root / ".venv/bin/python", code) == f"alpha ours {root / '.venv'}\n"


def test_what_an_earlier_environment_held_is_gone(tmp_path: Path, lock: Path) -> None:
    venv = tmp_path / ".venv"
    make_venv(venv, locate(Path(sys.executable)), lock, tmp_path)
    (venv / "lib/python3.11/site-packages/old.py").touch()
    make_venv(venv, locate(Path(sys.executable)), lock, tmp_path)
    assert not (venv / "lib/python3.11/site-packages/old.py").exists()


def test_a_wheel_that_the_lock_does_not_name_by_its_hash_is_refused(tmp_path: Path, lock: Path) -> None:
    lock.write_text(f"alpha==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(VenvError, match="pip install"):
        make_venv(tmp_path / ".venv", locate(Path(sys.executable)), lock, tmp_path)


def test_a_folder_that_is_no_virtual_environment_is_not_replaced(tmp_path: Path, lock: Path) -> None:
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "mine").touch()
    with pytest.raises(VenvError, match="is not a virtual environment; remove it"):
        make_venv(tmp_path / ".venv", locate(Path(sys.executable)), lock, tmp_path)
    assert (tmp_path / ".venv" / "mine").exists()


def test_the_first_interpreter_of_the_path_that_starts_is_taken_without_its_shim(tmp_path: Path) -> None:
    real = locate(Path(sys.executable))
    write_program(tmp_path / "broken", "exit 1")
    write_program(tmp_path / "shims", f'exec {real} "$@"')
    path = f"{tmp_path / 'empty'}:{tmp_path / 'broken'}:{tmp_path / 'shims'}:{tmp_path / 'unseen'}"
    assert find_interpreter({"PATH": path}) == real


def test_in_the_toolbox_its_own_interpreter_is_no_use_to_an_editor(tmp_path: Path) -> None:
    write_program(tmp_path / "theirs", "echo 3.11; echo /usr/bin/python3.11")
    path = f"{tmp_path / 'theirs'}"
    assert find_interpreter({"PATH": path}) == Path("/usr/bin/python3.11")
    with pytest.raises(VenvError, match=r"no python3\.11 on the PATH that an editor can use"):
        find_interpreter({"PATH": path, "MONOBASE_IN_TOOLBOX": "x"})


def test_an_interpreter_of_another_version_is_refused(tmp_path: Path) -> None:
    program = write_program(tmp_path / "bin", "echo 3.13; echo /opt/python")
    with pytest.raises(VenvError, match=r"is Python 3\.13, and the lock is for 3\.11"):
        locate(program)
