from pathlib import Path

import pytest

from tests.code_coverage.figures import Figure, read_modules
from tests.code_coverage.measured_run import Outcome, find_tests, run_measured

_SOURCES = {
    "subject/__init__.py": "",
    "subject/called.py": "def sign(x):\n    if x > 0:\n        return 1\n    return -1\n",
    "subject/program.py": "import os\n\nif __name__ == '__main__':\n    os._exit(7)\n",
    "subject/child.py": "import os\n\n\ndef end():\n    os._exit(0)\n",
    "subject/unused.py": "x = 1\n",
    "subject/called_test.py": "from subject.called import sign\n\ndef test_it():\n    assert sign(3) == 1\n",
    "subject/program_test.py": "import subprocess\nimport sys\n\n\ndef test_it(tmp_path):\n"
    "    command = [sys.executable, '-m', 'subject.program']\n"
    "    assert subprocess.run(command, cwd=tmp_path).returncode == 7\n",
    "subject/child_test.py": "import os\nfrom subject.child import end\n\n\ndef test_it():\n"
    "    if (child := os.fork()) == 0:\n        end()\n"
    "    assert os.waitpid(child, 0)[1] == 0\n",
    "subject/wrong_test.py": "def test_it():\n    assert 1 == 2\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name, text in _SOURCES.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (root / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    return root


def measure(tree: Path, *places: str) -> tuple[dict[str, Figure], list[Outcome]]:
    outcomes: list[Outcome] = []
    (tree.parent / "work").mkdir()
    tests = find_tests(tree, places)
    report = run_measured(tree, tests, ["subject"], tree.parent / "work", 2, outcomes.append)
    return {figure.name: figure for figure in read_modules(report, tree)}, outcomes


def test_a_branch_that_no_test_takes_is_missing_and_so_is_a_module_that_none_imports(tree: Path) -> None:
    figures, outcomes = measure(tree, "subject/called_test.py")
    assert [outcome.passed for outcome in outcomes] == [True]
    assert figures["subject/called.py"] == Figure("subject/called.py", 1, 4, 3, 2, 1)
    assert figures["subject/unused.py"].statements_run == 0
    assert "subject/called_test.py" not in figures


def test_a_program_that_ends_without_cleaning_up_in_another_folder_is_measured(tree: Path) -> None:
    figures, outcomes = measure(tree, "subject/program_test.py")
    assert [outcome.said for outcome in outcomes if not outcome.passed] == []
    assert figures["subject/program.py"] == Figure("subject/program.py", 1, 3, 3, 2, 1)


def test_a_forked_child_is_measured(tree: Path) -> None:
    figures, outcomes = measure(tree, "subject/child_test.py")
    assert [outcome.said for outcome in outcomes if not outcome.passed] == []
    assert figures["subject/child.py"].percent == 100


def test_a_test_that_fails_is_told_with_what_it_said_and_the_others_count(tree: Path) -> None:
    figures, outcomes = measure(tree, "subject")
    assert [str(outcome.file) for outcome in outcomes if not outcome.passed] == ["subject/wrong_test.py"]
    assert "assert 1 == 2" in next(outcome.said for outcome in outcomes if not outcome.passed)
    assert figures["subject/child.py"].percent == 100


def test_a_folder_gives_its_test_files_but_those_left_out_unless_they_are_named(tree: Path) -> None:
    without = ["subject/wrong_test.py"]
    inside = [str(file) for file in find_tests(tree, ["subject"], without)]
    assert inside == [f"subject/{name}_test.py" for name in ("called", "child", "program")]
    assert find_tests(tree, without, without) == [Path("subject/wrong_test.py")]


def test_a_place_that_does_not_exist_is_refused(tree: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no such test"):
        find_tests(tree, ["subject/gone_test.py"])
