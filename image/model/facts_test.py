from pathlib import Path

import pytest

from image.errors import ImageError
from image.model.facts import BasePackage, ModelFacts, format_facts, read_facts

FACTS = ModelFacts(
    3, "python3.12", "sha256:" + "b" * 64, "amd64", {"PYTHON_VERSION": "3.12"},
    (BasePackage("numpy", "2.5.0", "c" * 64),), ("numpy",),
)  # fmt: skip


def test_facts_are_read_as_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "facts").write_text(format_facts(FACTS))
    assert read_facts(tmp_path / "facts") == FACTS


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "generation": "x"}'])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "facts").write_text(text)
    with pytest.raises(ImageError, match=str(tmp_path / "facts")):
        read_facts(tmp_path / "facts")
