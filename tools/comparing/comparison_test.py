"""Comparing two generations, and showing it."""

from gens.lock import Lock, LockedWheel
from tools.comparing.comparison import Change, compare
from tools.diff import render


def lock(target: str, **versions: str) -> Lock:
    wheels = tuple(
        LockedWheel(
            name, version.partition("@")[0], (version.partition("@")[2] or "0") * 64, f"{name}.whl", 1
        )
        for name, version in sorted(versions.items())
    )
    return Lock(1, "environment", target, "sha256:0", "uv", "2026", wheels)


def locks(**targets: dict[str, str]) -> dict[str, Lock]:
    names = {name.replace("_", "-").replace("p3", "python3."): versions for name, versions in targets.items()}
    return {name: lock(name, **versions) for name, versions in names.items()}


BEFORE = locks(
    p310={"pip": "25", "numpy": "1.26"},
    p311={"pip": "25", "numpy": "1.26"},
    p312={"pip": "25", "numpy": "1.26", "wheel": "0.45"},
    p39={"pip": "25"},
)
AFTER = locks(
    p310={"pip": "26", "numpy": "1.26@a"},
    p311={"pip": "26", "numpy": "2.0"},
    p312={"pip": "26", "numpy": "2.0", "cython": "3.1"},
    p313={"pip": "26"},
)


def test_a_change_that_many_targets_share_is_one_and_stands_first() -> None:
    changes = compare(BEFORE, AFTER).changes
    assert changes[0] == Change("pip", "25", "26", ("python3.10", "python3.11", "python3.12"))
    assert changes[1] == Change("numpy", "1.26", "2.0", ("python3.11", "python3.12"))


def test_added_and_removed_targets_are_told_apart_from_changed_ones() -> None:
    comparison = compare(BEFORE, AFTER)
    assert comparison.added == ("python3.13",)
    assert comparison.removed == ("python3.9",)
    assert comparison.common == ("python3.10", "python3.11", "python3.12")
    assert comparison.unchanged == 0


def test_packages_come_and_go() -> None:
    changes = compare(BEFORE, AFTER).changes
    assert Change("cython", None, "3.1", ("python3.12",)) in changes
    assert Change("wheel", "0.45", None, ("python3.12",)) in changes


def test_another_wheel_of_the_same_version_is_a_change() -> None:
    (change,) = [change for change in compare(BEFORE, AFTER).changes if change.targets == ("python3.10",)]
    assert change == Change(
        "numpy", "1.26 (sha256 000000000000…)", "1.26 (sha256 aaaaaaaaaaaa…)", ("python3.10",)
    )


def test_a_generation_does_not_differ_from_itself() -> None:
    comparison = compare(BEFORE, BEFORE)
    assert (comparison.added, comparison.removed, comparison.changes) == ((), (), ())
    assert comparison.unchanged == 4
    assert list(render(comparison)) == ["0 added, 0 removed, 4 in both, 4 of them unchanged"]


def test_a_comparison_reads_as_lines_of_few_words() -> None:
    assert list(render(compare(BEFORE, AFTER))) == [
        "1 added, 1 removed, 3 in both, 0 of them unchanged",
        "\nadded",
        "  python3.13",
        "\nremoved",
        "  python3.9",
        "\nchanged in all 3",
        "  pip     25 → 26",
        "\nchanged in python{3.11,3.12}",
        "  numpy   1.26 → 2.0",
        "\nchanged in python3.12",
        "  cython  new 3.1",
        "  wheel   gone 0.45",
        "\nchanged in python3.10",
        "  numpy   1.26 (sha256 000000000000…) → 1.26 (sha256 aaaaaaaaaaaa…)",
    ]


def test_a_change_of_all_environments_does_not_name_each() -> None:
    before = locks(p310={"pip": "25"}, p311={"pip": "25"}) | {"cuda12.4": lock("cuda12.4", nvcc="1")}
    after = locks(p310={"pip": "26"}, p311={"pip": "26"}) | {"cuda12.4": lock("cuda12.4", nvcc="1")}
    assert "\nchanged in all 2 environments" in list(render(compare(before, after)))
