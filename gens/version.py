"""Reads the version of this build: the text of the file VERSION, and the commit if the build is stamped.

The rule of `version.bzl` writes `version.json` beside this module, in the images and in the runfiles of
commands. Only `--config=release` stamps a build. Any other build reports that it is unstamped, so that its
bytes do not depend on the commit.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from gens.errors import MonobaseError

UNKNOWN = "unknown"
_FILE = Path(__file__).with_name("version.json")


class StampError(MonobaseError):
    """A stamped build got no commit from Bazel's status."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Version:
    """A version.

    Attributes:
        version: Such as `1.2.0`, with `+unstamped` or `+dirty` behind it.
        revision: The commit, or `unknown`.
    """

    version: str
    revision: str

    def __str__(self) -> str:
        """Format both for a person."""
        return f"monobase {self.version} (revision {self.revision})"


def read_version(file: Path = _FILE) -> Version:
    """Read the version of this build.

    Args:
        file: The file that the rule writes. It does not exist outside of Bazel, as in an editor.
    """
    try:
        return Version(**json.loads(file.read_text()))
    except FileNotFoundError:
        return Version(UNKNOWN, UNKNOWN)


def make_version(version: str, status: str | None) -> Version:
    """Return the version of a build.

    Args:
        version: The text of the file VERSION.
        status: Text of Bazel's stable status, with the output of
            `tools/workspace/workspace_status.sh`; None in an unstamped build.

    Raises:
        StampError: The status does not name the commit and the state of the tree.
    """
    version = version.strip()
    if status is None:
        return Version(f"{version}+unstamped", UNKNOWN)
    values = dict(line.split(" ", 1) for line in status.splitlines() if " " in line)
    revision, tree = values.get("STABLE_MONOBASE_REVISION"), values.get("STABLE_MONOBASE_TREE")
    if not revision or tree not in {"clean", "dirty"}:
        raise StampError(
            "a stamped build needs STABLE_MONOBASE_REVISION and STABLE_MONOBASE_TREE from "
            "tools/workspace/workspace_status.sh: build with --config=release, not with --stamp alone"
        )
    return Version(version if tree == "clean" else f"{version}+dirty", revision)


def format_version(version: Version) -> str:
    """Return the JSON that `read_version` reads."""
    return json.dumps(asdict(version), indent=2) + "\n"
