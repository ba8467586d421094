"""The toolbox serves the modules that MODULE.bazel asks for: three files say so, and must agree."""

import re
from pathlib import Path

FOLDER = Path("tools/toolbox")
MODULES = Path("MODULE.bazel").read_text()
ROWS = [
    line.split(maxsplit=4)
    for line in (FOLDER / "modules.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def test_every_direct_dependency_is_in_the_table_at_its_version() -> None:
    wanted = dict(re.findall(r'^bazel_dep\(name = "([^"]+)", version = "([^"]+)"', MODULES, re.MULTILINE))
    assert wanted
    assert {row[0]: row[2] for row in ROWS if row[0] in wanted} == wanted


def test_every_module_of_the_table_is_overridden_and_its_package_installed() -> None:
    overrides = set(
        re.findall(r"--override_module=(\w+)=/usr/share/bazel/", (FOLDER / "bazelrc").read_text())
    )
    packages = set(re.findall(r"^[\w.-]+", (FOLDER / "packages.txt").read_text(), re.MULTILINE))
    assert {row[0] for row in ROWS} == overrides
    assert {row[1] for row in ROWS} <= packages


def test_a_version_that_differs_from_the_registry_s_has_a_reason() -> None:
    assert not [row[0] for row in ROWS if row[2] != row[3] and len(row) < 5]
