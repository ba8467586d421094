import subprocess
import sys
from pathlib import Path

import pytest

from gens.version import (
    StampError,
    Version,
    format_version,
    make_version,
    read_version,
)

_COMMIT = "3f90b29c1a2b4d5e6f708192a3b4c5d6e7f80912"
_STATUS = (
    f"BUILD_EMBED_LABEL \nSTABLE_MONOBASE_REVISION {_COMMIT}\nSTABLE_MONOBASE_TREE clean\nBUILD_USER root\n"
)


def test_an_unstamped_build_says_so_and_knows_no_commit() -> None:
    assert make_version("1.2.0\n", None) == Version("1.2.0+unstamped", "unknown")


def test_a_stamped_build_of_a_clean_tree_says_the_commit() -> None:
    assert make_version("1.2.0\n", _STATUS) == Version("1.2.0", _COMMIT)


def test_a_stamped_build_of_a_tree_with_changes_is_dirty() -> None:
    assert make_version("1.2.0\n", _STATUS.replace("clean", "dirty")) == Version("1.2.0+dirty", _COMMIT)


@pytest.mark.parametrize("missing", ["STABLE_MONOBASE_REVISION", "STABLE_MONOBASE_TREE"])
def test_a_stamp_without_the_status_of_ours_is_refused_and_says_how_to_build(missing: str) -> None:
    with pytest.raises(StampError, match="build with --config=release"):
        make_version("1.2.0\n", _STATUS.replace(missing, "STABLE_OTHER"))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "version.json"
    file.write_text(format_version(Version("1.2.0", _COMMIT)))
    assert read_version(file) == Version("1.2.0", _COMMIT)


def test_where_nothing_was_built_the_version_is_unknown(tmp_path: Path) -> None:
    assert read_version(tmp_path / "version.json") == Version("unknown", "unknown")


@pytest.mark.parametrize(("status", "expected"), [(None, "1.2.0+unstamped"), (_STATUS, "1.2.0")])
def test_the_action_writes_the_version_of_its_files(
    tmp_path: Path, status: str | None, expected: str
) -> None:
    (tmp_path / "VERSION").write_text("1.2.0\n")
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "gens.make_version",
        tmp_path / "VERSION",
        tmp_path / "version.json",
    ]
    if status is not None:
        (tmp_path / "status.txt").write_text(status)
        command.append(tmp_path / "status.txt")
    subprocess.run(command, check=True)
    assert read_version(tmp_path / "version.json").version == expected
