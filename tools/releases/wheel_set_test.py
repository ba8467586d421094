"""Reads machines and Pythons from the tags of wheels."""

from collections.abc import Iterator

import pytest
from packaging.tags import Tag, parse_tag

from tools.releases.wheel_set import WheelSet, wheel_sets


def _tags(*names: str) -> Iterator[Tag]:
    return (tag for name in names for tag in parse_tag(name))


def test_wheels_are_sorted_by_machine_and_python() -> None:
    names = [
        "cp311-cp311-manylinux_2_28_x86_64", "cp39-cp39-manylinux_2_28_x86_64",
        "cp314-cp314t-manylinux_2_28_x86_64", "cp311-cp311-manylinux_2_31_aarch64",
        "cp311-cp311-win_amd64", "cp311-cp311-macosx_11_0_arm64",
    ]  # fmt: skip

    assert wheel_sets(_tags(*names)) == {
        "aarch64": WheelSet("2.31", ("3.11",)),
        "x86_64": WheelSet("2.28", ("3.9", "3.11"), ("3.14t",)),
    }


@pytest.mark.parametrize("tags", ["py3-none-manylinux_2_28_x86_64", "cp310-abi3-manylinux_2_28_x86_64"])
def test_a_wheel_for_the_stable_interface_or_for_no_interface_serves_any_python(tags: str) -> None:
    assert wheel_sets(_tags(tags)) == {"x86_64": WheelSet("2.28", ("any",))}


def test_a_pure_wheel_serves_all_machines_and_needs_no_glibc() -> None:
    assert wheel_sets(_tags("py2.py3-none-any")) == dict.fromkeys(
        ("aarch64", "x86_64"), WheelSet("0", ("any",))
    )


@pytest.mark.parametrize(
    ("tag", "glibc"), [("manylinux1", "2.5"), ("manylinux2010", "2.12"), ("manylinux2014", "2.17")]
)
def test_the_old_names_of_platforms_are_read_as_what_they_stand_for(tag: str, glibc: str) -> None:
    assert wheel_sets(_tags(f"cp311-cp311-{tag}_x86_64")) == {"x86_64": WheelSet(glibc, ("3.11",))}


def test_the_oldest_glibc_is_that_which_all_wheels_of_a_machine_run_on() -> None:
    names = ["cp310-cp310-manylinux_2_28_x86_64", "cp311-cp311-manylinux_2_34_x86_64"]
    assert wheel_sets(_tags(*names))["x86_64"].glibc == "2.34"


def test_what_runs_on_no_linux_is_nothing() -> None:
    assert wheel_sets(_tags("cp311-cp311-win_amd64")) == {}
