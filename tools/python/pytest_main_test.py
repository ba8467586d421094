"""Tests of the runner: it runs on small test files in a process of its own, as Bazel would start it."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
import uv

from tools.python import pytest_main

RUNNER = Path(pytest_main.__file__)

Run = Callable[..., subprocess.CompletedProcess[str]]
"""Runs the runner on a test file with this source, in the environment of the keyword arguments."""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")

    def run(source: str, **environment: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "sample_test.py").write_text(source)
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TEST", "XML", "PYTEST", "RUNFILES"))
        }
        return subprocess.run(
            [sys.executable, str(RUNNER), "sample_test.py"],
            cwd=tmp_path,
            env=inherited | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


TWO = """
def test_one():
    assert 1 + 1 == 2

def test_two():
    left = [1, 2]
    assert left == [1, 3]
"""


def test_a_failure_shows_both_sides_of_the_assertion(run: Run) -> None:
    result = run(TWO)
    assert result.returncode == 1
    assert "assert [1, 2] == [1, 3]" in result.stdout


def test_the_test_filter_of_bazel_selects_by_name(run: Run) -> None:
    result = run(TWO, TESTBRIDGE_TEST_ONLY="one")
    assert result.returncode == 0
    assert "1 passed, 1 deselected" in result.stdout


def test_a_file_without_a_test_fails(run: Run) -> None:
    assert run("def helper():\n    pass\n").returncode == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_filter_that_matches_nothing_fails(run: Run) -> None:
    assert run(TWO, TESTBRIDGE_TEST_ONLY="three").returncode == pytest.ExitCode.NO_TESTS_COLLECTED


def test_the_results_go_to_the_file_that_bazel_names(run: Run, tmp_path: Path) -> None:
    run(TWO, XML_OUTPUT_FILE=str(tmp_path / "test.xml"))
    cases = ET.parse(tmp_path / "test.xml").getroot().iter("testcase")  # noqa: S314 (our own file)
    assert [(case.get("name"), case.find("failure") is not None) for case in cases] == [
        ("test_one", False),
        ("test_two", True),
    ]


def test_shards_divide_the_tests_and_lose_none(run: Run, tmp_path: Path) -> None:
    source = "".join(f"def test_{number}():\n    pass\n\n" for number in range(9))
    names: list[str] = []
    for index in range(3):
        status = tmp_path / f"status{index}"
        xml = tmp_path / f"shard{index}.xml"
        result = run(
            source,
            TEST_TOTAL_SHARDS="3",
            TEST_SHARD_INDEX=str(index),
            TEST_SHARD_STATUS_FILE=str(status),
            XML_OUTPUT_FILE=str(xml),
        )
        assert result.returncode == 0
        assert status.exists()
        names += [str(case.get("name")) for case in ET.parse(xml).getroot().iter("testcase")]  # noqa: S314
    assert sorted(names) == [f"test_{number}" for number in range(9)]


def test_a_plugin_of_a_wheel_is_loaded_from_the_bytecode_of_the_wheel(run: Run) -> None:
    result = run(
        "def test_it(pytestconfig):\n"
        "    plugin = pytestconfig.pluginmanager.get_plugin('_hypothesis_pytestplugin')\n"
        "    assert type(plugin.__loader__).__name__ == 'SourceFileLoader'\n"
    )
    assert result.returncode == 0, result.stdout


def test_a_wheel_is_one_link_in_runfiles_and_tests_write_no_bytecode_into_it() -> None:
    wheels = [
        Path(entry)
        for entry in sys.path
        if Path(entry).parent.name.endswith(("pip_hypothesis", "pip_pytest"))
    ]
    assert len(wheels) == 2, "the interpreter's path has the folders of wheels"
    for wheel in wheels:
        assert wheel.is_symlink(), wheel
        assert list(wheel.rglob("*.pyc")), wheel
        assert not list(wheel.rglob("*pytest-*.pyc")), "pytest's own bytecode is in a folder that tests share"


def test_executables_of_wheels_are_where_their_modules_look_for_them() -> None:
    version = subprocess.run([uv.find_uv_bin(), "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("uv ")
