"""Findings as a person reads them."""

from daemon.prefix.finding import Finding, by_tree, count_differences, summarize


def test_a_finding_is_one_line_without_control_characters() -> None:
    assert str(Finding("cuda/x", "a\nb", "changed", "0 bytes")) == "changed: cuda/x/a\\nb: 0 bytes"
    assert str(Finding("cuda/x", "", "missing")) == "missing: cuda/x"


def test_one_difference_is_not_differences() -> None:
    assert [count_differences([Finding("t", "p", "extra")] * count) for count in (0, 1, 2)] == [
        "0 differences",
        "1 difference",
        "2 differences",
    ]


def test_findings_keep_their_order_by_tree() -> None:
    found = [Finding("b", "1", "extra"), Finding("a", "2", "extra"), Finding("b", "3", "extra")]
    assert {tree: [item.path for item in of_it] for tree, of_it in by_tree(found).items()} == {
        "b": ["1", "3"],
        "a": ["2"],
    }


def test_few_findings_of_a_tree_are_all_told_and_many_are_counted() -> None:
    few = [Finding("a", str(number), "extra") for number in range(8)]
    many = [Finding("b", str(number), "changed") for number in range(2000)] + [Finding("b", "x", "missing")]
    lines = summarize([*few, *many])
    assert lines[:8] == [str(finding) for finding in few]
    assert lines[8:] == ["b: 2,000 changed, 1 missing, such as changed: b/0; changed: b/1; changed: b/2"]
