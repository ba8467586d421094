"""Labels name trees by their paths, and are taken apart as they were made."""

from pathlib import Path

import pytest

from daemon.prefix.prefix import Prefix
from daemon.prefix.tree_label import (
    Label,
    generation_label,
    interpreter_label,
    is_interpreter,
    parse_label,
    target_label,
    toolkit_label,
    tree_at,
    tree_label,
)

_LABELS = {
    generation_label("g00003"): Label("generation", "g00003"),
    target_label("g00003", "python3.11"): Label("target", "python3.11", "g00003"),
    toolkit_label("cuda-12.4.1"): Label("toolkit", "cuda-12.4.1"),
    interpreter_label("cpython-3.11.10"): Label("interpreter", "cpython-3.11.10"),
    "files": Label("store", "files"),
    "monobase": Label("store", "monobase"),
}


@pytest.mark.parametrize("label", _LABELS)
def test_a_label_is_the_path_of_its_tree_and_is_taken_apart_as_it_was_made(label: str) -> None:
    prefix = Prefix(Path("/srv/r8/monobase"))
    assert parse_label(label) == _LABELS[label]
    assert tree_at(prefix, label) == Path(f"/srv/r8/monobase/{label}")
    assert tree_label(prefix, tree_at(prefix, label)) == label


def test_labels_agree_with_the_paths_of_the_prefix() -> None:
    prefix = Prefix(Path("/p"))
    assert tree_at(prefix, generation_label("g00003")) == prefix.generation("g00003")
    assert tree_at(prefix, target_label("g00003", "x")) == prefix.target("g00003", "x")
    assert tree_at(prefix, toolkit_label("x")) == prefix.toolkit("x")
    assert tree_at(prefix, interpreter_label("x")) == prefix.interpreter("x")


@pytest.mark.parametrize("text", ["", "somewhere", "cuda/x/y", "uv/python", "files/ab"])
def test_another_text_is_no_label(text: str) -> None:
    with pytest.raises(ValueError, match="is not the label of a tree"):
        parse_label(text)
    assert not is_interpreter(text)


def test_an_interpreter_is_told_from_other_trees() -> None:
    assert [label for label in _LABELS if is_interpreter(label)] == [interpreter_label("cpython-3.11.10")]


def test_a_tree_behind_a_link_to_the_prefix_has_the_same_label(tmp_path: Path) -> None:
    (tmp_path / "real" / "cuda" / "x").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    prefix = Prefix(tmp_path / "link")
    for tree in (tmp_path / "link" / "cuda" / "x", tmp_path / "real" / "cuda" / "x"):
        assert tree_label(prefix, tree) == "cuda/x"
