"""`bazel run //tests/code_coverage`: runs tests and prints which share of each package they covered."""

import os
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

import click

from tests.code_coverage.figures import Bounds, as_table, below_bounds, by_package, read_modules
from tests.code_coverage.measured_run import Outcome, find_tests, run_measured


@click.command()
@click.argument("places", nargs=-1)
@click.option(
    "--of",
    "packages",
    multiple=True,
    help="A package to measure; may be repeated.  [default: pyproject.toml's]",
)
@click.option("--modules", is_flag=True, help="Print each module, not only the packages.")
@click.option("--jobs", type=click.IntRange(min=1), default=os.cpu_count(), help="Test files to run at once.")
@click.option("--output", type=click.Path(path_type=Path), help="Also write the tables to this file.")
def main(
    *, places: tuple[str, ...], packages: tuple[str, ...], modules: bool, jobs: int, output: Path | None
) -> None:
    """Measure the coverage of the tests in PLACES, folders or files of the source tree.

    Without PLACES and --of, the tests that pyproject.toml names are run, and its bounds must be kept.
    """
    root = Path(os.environ.get("BUILD_WORKSPACE_DIRECTORY", Path.cwd()))
    settings: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text())
    ours = settings["tool"]["monobase"]["coverage"]
    try:
        tests = find_tests(root, places or packages or ours["tests"], ours["without"])
    except FileNotFoundError as error:
        raise click.UsageError(str(error)) from error
    failed: list[Outcome] = []

    def tell(outcome: Outcome) -> None:
        if not outcome.passed:
            failed.append(outcome)
            click.echo(outcome.said)
        last = (outcome.said.strip().splitlines() or ["nothing said"])[-1]
        click.echo(f"{outcome.file}: {last}", err=True)

    started_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="monobase-coverage-") as folder:
        report = run_measured(root, tests, packages or ours["of"], Path(folder), jobs, tell)
        found = read_modules(report, root)
    tables = as_table(by_package(found))
    if modules:
        tables = f"{as_table(found)}\n{tables}"
    click.echo(f"\n{tables}")
    click.echo(f"{len(tests)} test files in {time.monotonic() - started_s:.0f} s")
    if output is not None:
        (root / output).write_text(tables)
    wrong = [f"{outcome.file}: a test failed" for outcome in failed]
    if not places and not packages:
        wrong += below_bounds(by_package(found), Bounds(ours["total_percent"], ours["package_percent"]))
    for text in wrong:
        click.echo(text, err=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
