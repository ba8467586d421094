import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.sample_prefix import PYTHON, SITE_PACKAGES, SamplePrefix
from runtime.shells import Outcome, run
from runtime.user_venv.errors import PreparationError
from runtime.user_venv.preparation import prepare
from runtime.user_venv.sample_venv import assert_whole, dangle, make_venv, start_read_only

pytest_plugins = ["runtime.fixtures"]


def test_a_venv_whose_interpreter_is_not_here_gets_the_one_of_the_base(base: Path, venv: Path) -> None:
    make_venv(venv)
    (venv / SITE_PACKAGES / "mine.py").write_text("")
    dangle(venv)

    prepare(venv, base)

    assert_whole(venv, base)
    interpreter = Path(getattr(sys, "_base_executable", ""))
    assert (venv / "bin" / "python").resolve() == interpreter.resolve()
    assert f"home = {interpreter.parent}" in (venv / "pyvenv.cfg").read_text().splitlines()
    for name in ("python3", f"python{PYTHON}"):
        outcome = run([str(venv / "bin" / name), "-c", "import mine, sys; print(sys.prefix)"], {})
        assert outcome == Outcome(0, f"{venv}\n", "")


def a_python_of_another_kind(venv: Path) -> None:
    other = venv / "bin" / "python"
    other.unlink()
    other.write_text("#!/bin/sh\necho .cpython-399-x86_64-linux-gnu.so\n")
    other.chmod(0o755)


def a_copy_without_its_library(venv: Path) -> None:
    other = venv / "bin" / "python"
    other.unlink()
    other.write_bytes(b"\x7fELF")
    other.chmod(0o755)


def a_home_that_is_not_there(venv: Path) -> None:
    config = venv / "pyvenv.cfg"
    config.write_text(re.sub(r"(?m)^home = .*", "home = /usr/local/nowhere", config.read_text()))


def an_empty_config(venv: Path) -> None:
    (venv / "pyvenv.cfg").write_text("")


@pytest.mark.parametrize(
    "damage",
    [a_python_of_another_kind, a_copy_without_its_library, a_home_that_is_not_there, an_empty_config],
)
def test_an_interpreter_that_cannot_serve_is_replaced(
    base: Path, venv: Path, damage: Callable[[Path], None]
) -> None:
    make_venv(venv)
    damage(venv)

    prepare(venv, base)

    assert_whole(venv, base)


def test_an_interpreter_of_the_same_kind_stays(base: Path, venv: Path) -> None:
    make_venv(venv)
    before = [(link.name, os.lstat(link).st_ino) for link in sorted((venv / "bin").glob("python*"))]

    prepare(venv, base)

    assert [(link.name, os.lstat(link).st_ino) for link in sorted((venv / "bin").glob("python*"))] == before
    assert_whole(venv, base)


def test_a_venv_for_another_minor_version_is_refused_with_its_link(base: Path, venv: Path) -> None:
    make_venv(venv)
    dangle(venv, "/usr/local/bin/python3.99")
    (venv / "lib" / f"python{PYTHON}").rename(venv / "lib" / "python3.99")

    with pytest.raises(PreparationError, match="is not for Python") as caught:
        prepare(venv, base)

    assert caught.value.advice == (
        f"Its {venv}/bin/python leads to /usr/local/bin/python3.99.",
        f"It is for python3.99: set PYTHON_VERSION so, or make it with python{PYTHON}.",
    )
    assert not (venv / ".monobase").exists()


def test_a_venv_that_cannot_be_mended_is_refused_with_its_link(prefix: SamplePrefix, venv: Path) -> None:
    make_venv(venv)
    dangle(venv)

    outcome = start_read_only(prefix, venv)

    assert (outcome.code, outcome.stdout) == (73, "")
    assert f"{venv}/bin/python leads to /usr/local/nowhere/bin/python" in outcome.stderr
    assert "Read-only file system" in outcome.stderr
