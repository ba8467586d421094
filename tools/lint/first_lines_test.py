"""Tests of the check of docstrings' first lines."""

from pathlib import Path

import pytest

from tools.lint.first_lines import find_flaws

MODULE = '"""Links environments from uv\'s cache."""\n'


def texts(directory: Path, source: str) -> list[str]:
    path = directory / "module.py"
    path.write_text(source)
    return [flaw.text for flaw in find_flaws(path)]


@pytest.mark.parametrize(
    "docstring", ["What linking needs to know.", "Whether a node is ready.", "One wheel of a lock"]
)
def test_a_module_that_begins_with_a_pronoun_or_ends_without_a_stop_is_named(
    tmp_path: Path, docstring: str
) -> None:
    assert texts(tmp_path, f'"""{docstring}"""\n') == [docstring]


@pytest.mark.parametrize("docstring", ["Give the path.", "Reads a lock.", "Where it is.", "Tells the time."])
def test_a_function_that_is_no_imperative_or_gives_and_tells_is_named(tmp_path: Path, docstring: str) -> None:
    source = f'{MODULE}\n\nclass Lock:\n    """A lock."""\n\n    def read(self):\n        """{docstring}"""\n'

    assert texts(tmp_path, source) == [docstring]


def test_imperatives_properties_and_data_are_let_pass(tmp_path: Path) -> None:
    source = f'''{MODULE}

class Lock:
    """The lock of one environment."""

    @property
    def size_bytes(self):
        """Bytes of all wheels."""

    def process(self):
        """Process the lock."""

    def silent(self):
        pass

def test_a_lock_is_read():
    """Locks that end early were accepted."""
'''

    assert texts(tmp_path, source) == []


def test_flaws_stand_in_the_order_of_lines_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text('"""What is here."""\n\n\ndef one():\n    """Say."""\n')

    assert [flaw.line for flaw in find_flaws(path)] == [1, 4]
