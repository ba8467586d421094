"""The commands of a wheel: its `entry_points.txt`."""

import configparser
import re

from daemon.errors import WheelContentError
from gens.lock import LockedWheel

_VERSIONED_PIP = re.compile(r"pip3\.[0-9]+")


def read_entry_points(text: str, wheel: LockedWheel, python: str) -> dict[str, str]:
    """Read the commands of an `entry_points.txt`.

    Implements https://packaging.python.org/en/latest/specifications/entry-points/, and what uv makes of it:
    beside `pip3` a `pip3.11` for the environment's own Python, and for no other.

    Args:
        text: The file.
        wheel: Its wheel, for messages.
        python: Minor version of the environment's interpreter, such as `3.11`.

    Returns:
        Object by name of the command, of `console_scripts` and `gui_scripts`.

    Raises:
        WheelContentError: It is malformed.
    """
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign] # names are case-sensitive
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise WheelContentError(f"{wheel.filename}: its entry_points.txt is malformed: {error}") from error
    groups = [group for group in ("console_scripts", "gui_scripts") if parser.has_section(group)]
    if parser.has_section("console_scripts"):
        commands = parser["console_scripts"]
        for name in [name for name in commands if _VERSIONED_PIP.fullmatch(name)]:
            del commands[name]
        if "pip3" in commands:
            commands[f"pip{python}"] = commands["pip3"]
    return {
        name.strip(): value.partition("[")[0].strip()
        for group in groups
        for name, value in parser[group].items()
    }
