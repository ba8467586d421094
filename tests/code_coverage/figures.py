"""The figures of a coverage report, package by package, and the bounds that they must keep."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath


@dataclass(frozen=True, slots=True)
class Figure:
    """The share of some code that tests ran.

    Attributes:
        name: Of the package or module, as a path.
        modules: How many modules it has.
        statements: How many statements they have.
        statements_run: How many of them ran.
        branches: How many ways out of conditions they have.
        branches_run: How many of these were taken.
    """

    name: str
    modules: int
    statements: int
    statements_run: int
    branches: int
    branches_run: int

    @property
    def percent(self) -> float:
        """The share of statements and branches that ran, as coverage.py counts it; 100 of nothing."""
        return _percent(self.statements_run + self.branches_run, self.statements + self.branches)

    @property
    def branch_percent(self) -> float:
        """The share of branches that were taken; 100 of none."""
        return _percent(self.branches_run, self.branches)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The lowest figures that are allowed, in percent of statements and branches.

    Attributes:
        total_percent: Of everything.
        package_percent: Of each package.
    """

    total_percent: float
    package_percent: float


def read_modules(report: Path, root: Path) -> list[Figure]:
    """Read the figure of each module from a report of `coverage json`.

    Args:
        report: The file.
        root: The folder that module names are relative to.
    """
    files = json.loads(report.read_text())["files"]
    return sorted(
        (
            Figure(
                name=str(Path(path).absolute().relative_to(root)),
                modules=1,
                statements=file["summary"]["num_statements"],
                statements_run=file["summary"]["covered_lines"],
                branches=file["summary"]["num_branches"],
                branches_run=file["summary"]["covered_branches"],
            )
            for path, file in files.items()
        ),
        key=lambda figure: figure.name,
    )


def add_up(name: str, figures: Iterable[Figure]) -> Figure:
    """Add figures up.

    Args:
        name: Of the sum.
        figures: Of the parts.
    """
    parts = list(figures)
    return Figure(
        name,
        modules=sum(part.modules for part in parts),
        statements=sum(part.statements for part in parts),
        statements_run=sum(part.statements_run for part in parts),
        branches=sum(part.branches for part in parts),
        branches_run=sum(part.branches_run for part in parts),
    )


def by_package(modules: Iterable[Figure]) -> list[Figure]:
    """Add the figures of modules up by the folder that they lie in."""
    packages: dict[str, list[Figure]] = defaultdict(list)
    for module in modules:
        packages[str(PurePath(module.name).parent)].append(module)
    return [add_up(name, parts) for name, parts in sorted(packages.items())]


def below_bounds(packages: Sequence[Figure], bounds: Bounds) -> list[str]:
    """Return a message for each figure below its bound.

    Args:
        packages: The figure of each package.
        bounds: What they may not fall below.

    Returns:
        A sentence for each figure that is too low.
    """
    total = add_up("all packages", packages)
    asked = [(package, bounds.package_percent) for package in packages] + [(total, bounds.total_percent)]
    return [
        f"{figure.name}: {figure.percent:.1f} % is below the bound of {bound:g} %"
        for figure, bound in asked
        if figure.percent < bound
    ]


def as_table(figures: Sequence[Figure]) -> str:
    """Format figures as a table, with their sum as its last line."""
    width = max(len(figure.name) for figure in [*figures, add_up("total", [])])
    header = f"{'':{width}}  modules  statements  not run  branches  not taken  taken %  covered %"
    lines = [
        f"{figure.name:{width}}  {figure.modules:7}  {figure.statements:10}"
        f"  {figure.statements - figure.statements_run:7}  {figure.branches:8}"
        f"  {figure.branches - figure.branches_run:9}  {figure.branch_percent:7.1f}  {figure.percent:9.1f}"
        for figure in [*figures, add_up("total", figures)]
    ]
    return "\n".join([header, *lines, ""])


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 100.0
