"""Runs test files with pytest while coverage.py measures each process that they start."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import coverage

_STARTUP = Path(__file__).parent / "startup"
_TIMEOUT_S = 1800
# A file without a chosen test is not a failure: the caller may have selected tests by name.
_PASSED = {0, 5}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of the tests of one file.

    Attributes:
        file: The file.
        passed: Whether all of them passed.
        said: What pytest printed.
    """

    file: Path
    passed: bool
    said: str


def find_tests(root: Path, places: Iterable[str], without: Iterable[str] = ()) -> list[Path]:
    """Find the test files of some folders.

    Args:
        root: Where the paths start.
        places: Folders, or files, relative to it.
        without: Files that are left out unless they are named.

    Returns:
        Their paths, relative to `root`.

    Raises:
        FileNotFoundError: A place does not exist.
    """
    left_out = set(map(Path, without))
    found: dict[Path, None] = {}
    for place in places:
        if (root / place).is_dir():
            inside = sorted(file.relative_to(root) for file in (root / place).rglob("*_test.py"))
            found |= dict.fromkeys(file for file in inside if file not in left_out)
        elif (root / place).is_file():
            found[Path(place)] = None
        else:
            raise FileNotFoundError(f"{root / place}: there is no such test")
    return list(found)


def run_measured(
    root: Path,
    tests: Sequence[Path],
    packages: Sequence[str],
    folder: Path,
    jobs: int,
    told: Callable[[Outcome], None],
) -> Path:
    """Run test files, each in a pytest of its own, and report what they covered.

    Args:
        root: The source tree; pytest runs there.
        tests: The files, relative to it.
        packages: Names of the packages to measure, as they are imported.
        folder: Where the measurements and the report are kept.
        jobs: How many files are run at once.
        told: Is called with the outcome of each file as it comes.

    Returns:
        The report, a file of `coverage json`.
    """
    configuration = folder / "coverage.ini"
    configuration.write_text(_configuration(packages, folder / "data" / "coverage"))
    (folder / "data").mkdir()
    variables = _variables(root, configuration)
    with ThreadPoolExecutor(jobs) as pool:
        for outcome in pool.map(lambda file: _run(root, file, variables), tests):
            told(outcome)
    measured = coverage.Coverage(config_file=str(configuration))
    measured.combine(keep=True)
    report = folder / "coverage.json"
    measured.json_report(outfile=str(report))
    return report


def _configuration(packages: Sequence[str], data: Path) -> str:
    return "\n".join([
        "[run]",
        "branch = true",
        "parallel = true",
        f"data_file = {data}",
        f"source_pkgs = {','.join(packages)}",
        "omit = *_test.py",
        # The daemon ends by os._exit.
        "patch = _exit,fork",
        # A process that imports none of the packages has nothing to say of them.
        "disable_warnings = module-not-imported,no-data-collected,module-not-measured",
        "",
    ])  # fmt: skip


def _variables(root: Path, configuration: Path) -> Mapping[str, str]:
    path = [str(_STARTUP), str(root), *filter(None, sys.path)]
    return os.environ | {"COVERAGE_PROCESS_START": str(configuration), "PYTHONPATH": os.pathsep.join(path)}


def _run(root: Path, file: Path, variables: Mapping[str, str]) -> Outcome:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={root}", str(file)]
    try:
        done = subprocess.run(
            command, cwd=root, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", check=False, timeout=_TIMEOUT_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Outcome(file, passed=False, said=f"{file} did not end within {_TIMEOUT_S} s")
    return Outcome(file, done.returncode in _PASSED, done.stdout)
