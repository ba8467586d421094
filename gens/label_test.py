"""Kubernetes accepts the names of the labels of all environments, stacks and toolkits of all generations."""

import os
import re

import pytest

from gens.catalog import load_catalog
from gens.label import label_name

# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
_SYNTAX = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def test_a_label_names_a_generation_or_an_environment_of_it() -> None:
    assert label_name("g00003") == "monobase-g00003"
    assert label_name("g00003", "python3.12-train") == "monobase-g00003.python3.12-train"


def test_the_longest_name_that_kubernetes_allows_is_known() -> None:
    assert _SYNTAX.fullmatch("a" * 63)
    assert not _SYNTAX.fullmatch("a" * 64)
    assert not _SYNTAX.fullmatch(label_name("g00003", "python3.12-"))


def test_kubernetes_accepts_the_labels_of_all_generations() -> None:
    if "MONOBASE_GENERATIONS" not in os.environ:
        pytest.skip("Bazel writes the generations")
    generations = load_catalog().generations
    names = [label_name(item.directory_name) for item in generations]
    names += [label_name(item.directory_name, target.name) for item in generations for target in item.targets]
    assert len(names) > 100
    assert [name for name in names if not _SYNTAX.fullmatch(name)] == []
