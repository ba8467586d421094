"""Tests of the checkers: each one on a file that it must refuse, and that no other one should hide."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.lint.checker import checkers
from tools.lint.source_tree import lay_out, walk

# Beside its own fault, each file is clean: so a checker that lets it pass is the one that does not work.
FAULTS = {
    "buildifier": ("BUILD.bazel", 'filegroup(srcs = [], name = "unordered")\n'),
    "first_lines": ("riddle.py", '"""What is meant is clear to nobody."""\n'),
    "links": ("GUIDE.md", "See [the guide](NOWHERE.md) and `//nowhere:target`.\n"),
    "mypy": (
        "untyped.py",
        '"""A module."""\n\n\ndef untyped(argument):\n    """Returns it."""\n    return argument\n',
    ),
    "ruff_check": ("unused.py", '"""A module."""\n\nimport os\n'),
    "ruff_format": ("spaces.py", '"""A module."""\n\nNUMBER   =   1\n'),
    "shellcheck": ("script", "#!/bin/sh\nrm -r $1/cache\n"),
}


def run(name: str, root: Path) -> subprocess.CompletedProcess[str]:
    checker = checkers()[name]
    return subprocess.run(
        [*checker.check, *map(str, checker.files([root / path for path in walk(root)]))],
        cwd=root,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_checker_has_a_fault_that_it_must_find() -> None:
    # The order of packages has tests of its own, imports_test.py: it takes a whole tree.
    assert set(FAULTS) == set(checkers()) - {"imports"}


@pytest.mark.parametrize("name", FAULTS)
def test_a_checker_finds_its_fault_and_names_the_file(name: str, tmp_path: Path) -> None:
    file, content = FAULTS[name]
    (tmp_path / file).write_text(content)
    result = run(name, tmp_path)
    assert result.returncode != 0
    assert Path(file).name in result.stdout + result.stderr


@pytest.mark.parametrize("name", [name for name, checker in checkers().items() if checker.fixes])
def test_a_fix_leaves_what_its_checker_wants(name: str, tmp_path: Path) -> None:
    file, content = FAULTS[name]
    (tmp_path / file).write_text(content)
    for fix in checkers()[name].fixes:
        subprocess.run([*fix, str(tmp_path / file)], check=True)
    assert run(name, tmp_path).returncode == 0
    assert (tmp_path / file).read_text() != content


def test_a_script_is_known_by_its_first_line(tmp_path: Path) -> None:
    (tmp_path / "exec").write_text("#!/bin/sh\n")
    (tmp_path / "data").write_text("no script\n")
    (tmp_path / "tool").write_text("#!/usr/bin/env python3\n")
    shellcheck = checkers()["shellcheck"]
    assert shellcheck.files([tmp_path / path for path in walk(tmp_path)]) == [tmp_path / "exec"]


def test_the_tree_is_laid_out_under_its_real_names(tmp_path: Path) -> None:
    (tmp_path / "files/sub").mkdir(parents=True)
    (tmp_path / "files/sub/BUILD.bazel.tree").write_text("# a package\n")
    lay_out(tmp_path / "files", tmp_path / "tree")
    assert list(walk(tmp_path / "tree")) == [Path("sub/BUILD.bazel")]
