import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.sample_prefix import SITE_PACKAGES
from runtime.user_venv.errors import PreparationError
from runtime.user_venv.mark import is_prepared
from runtime.user_venv.preparation import prepare
from runtime.user_venv.sample_venv import assert_whole, dangle, install_into, make_venv

pytest_plugins = ["runtime.fixtures"]


# What changes a file system, as Python's own audit of it sees it.
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.chmod", "shutil.copyfile"}


def prepare_until(venv: Path, base: Path, last_change: int) -> bool:
    """Prepare in a process that is killed before its change of that number; tell whether it was."""
    child = os.fork()
    if child == 0:
        changes = 0

        def kill(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal changes
            writes = event == "open" and isinstance(arguments[1], str) and arguments[1][0] in "wx"
            if writes or event in CHANGES:
                changes += 1
                if changes == last_change:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(kill)
        try:
            prepare(venv, base)
        except BaseException:  # the child of a fork must not go on as a second pytest
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def nothing(_venv: Path) -> None:
    pass


def an_empty_volume(venv: Path) -> None:
    (venv / "lost+found").mkdir(parents=True)


def a_venv_of_another_image(venv: Path) -> None:
    make_venv(venv)
    dangle(venv)


def a_venv_of_another_environment(venv: Path) -> None:
    other = venv.parent / "other/monobase/g00001/python"
    if not other.exists():
        (other / SITE_PACKAGES).mkdir(parents=True)
        install_into(other / SITE_PACKAGES, "torch", {"torch/__init__.py": ""})
        install_into(other / SITE_PACKAGES, "gone", {"gone.py": ""})
    prepare(venv, other)


@pytest.mark.parametrize(
    "before", [nothing, an_empty_volume, a_venv_of_another_image, a_venv_of_another_environment]
)
def test_the_start_after_a_killed_one_succeeds(
    base: Path, tmp_path: Path, before: Callable[[Path], None]
) -> None:
    number, killed = 1, True
    while killed:
        venv = tmp_path / f"venv {number}"
        before(venv)
        killed = prepare_until(venv, base, number)
        assert is_prepared(venv, base) != killed
        prepare(venv, base)
        assert_whole(venv, base)
        shutil.rmtree(venv)
        number += 7
    assert number > 30


def test_a_preparation_that_is_killed_twice_succeeds_the_third_time(base: Path, venv: Path) -> None:
    assert prepare_until(venv, base, 30)
    assert prepare_until(venv, base, 20)

    prepare(venv, base)

    assert_whole(venv, base)


def test_what_a_runtime_before_this_one_has_left_half_copied_is_copied_anew(base: Path, venv: Path) -> None:
    make_venv(venv)
    (venv / SITE_PACKAGES / "torch-2.4.1.dist-info").mkdir()

    prepare(venv, base)

    assert_whole(venv, base)


def test_a_conda_environment_is_refused_by_its_name(base: Path, venv: Path) -> None:
    (venv / "conda-meta").mkdir(parents=True)

    with pytest.raises(PreparationError, match="is a conda environment"):
        prepare(venv, base)


def test_nothing_is_written_into_the_prefix(base: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(base)

    with pytest.raises(PreparationError, match="lies in the prefix"):
        prepare(link, base)
