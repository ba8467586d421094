"""The commands of a wheel."""

import pytest

from daemon.errors import WheelContentError
from daemon.install.entry_points import read_entry_points
from gens.lock import LockedWheel


def _wheel(name: str) -> LockedWheel:
    return LockedWheel(name, "1.0", "0" * 64, f"{name}-1.0-py3-none-any.whl", 1)


def test_commands_are_read_case_by_case_and_without_extras() -> None:
    text = (
        "[console_scripts]\nTool = one.cli:main [x]\ntool=two:m\n[gui_scripts]\nwin = one:gui\n[z]\nx = y\n"
    )
    assert read_entry_points(text, _wheel("one"), "3.11") == {
        "Tool": "one.cli:main",
        "tool": "two:m",
        "win": "one:gui",
    }


def test_malformed_commands_are_the_wheels_fault() -> None:
    with pytest.raises(
        WheelContentError, match=r"one-1.0-py3-none-any.whl: its entry_points.txt is malformed"
    ):
        read_entry_points("no section\n", _wheel("one"), "3.11")


@pytest.mark.parametrize("old", ["", "pip3.9 = pip:main\n"])
def test_pip_has_a_command_of_the_environments_own_python(old: str) -> None:
    text = f"[console_scripts]\npip = pip:main\npip3 = pip:main\n{old}"
    assert list(read_entry_points(text, _wheel("pip"), "3.11")) == ["pip", "pip3", "pip3.11"]
