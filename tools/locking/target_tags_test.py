"""Tags of a target: what it accepts, and which of several wheels an installer would take."""

import sysconfig

import pytest
from packaging.tags import sys_tags
from packaging.utils import parse_wheel_filename

from gens.errors import DefinitionError
from tools.locking.target_tags import best_wheel, target_tags

PLATFORM = "x86_64-manylinux_2_28"


def accepts(filename: str, python: str = "3.11.10", platform: str = PLATFORM) -> bool:
    return not parse_wheel_filename(filename)[3].isdisjoint(target_tags(python, platform))


@pytest.mark.parametrize(
    ("filename", "accepted"),
    [
        ("a-1-py3-none-any.whl", True),
        ("a-1-cp311-cp311-linux_x86_64.whl", True),
        ("a-1-cp311-cp311-manylinux_2_28_x86_64.whl", True),
        ("a-1-cp311-cp311-manylinux1_x86_64.whl", True),
        ("a-1-cp311-cp311-manylinux_2_29_x86_64.whl", False),
        ("a-1-cp38-abi3-manylinux2014_x86_64.whl", True),
        ("a-1-cp312-abi3-manylinux2014_x86_64.whl", False),
        ("a-1-cp312-cp312-manylinux2014_x86_64.whl", False),
        ("a-1-cp311-cp311-manylinux2014_aarch64.whl", False),
        ("a-1-cp311-cp311-musllinux_1_2_x86_64.whl", False),
    ],
)
def test_a_target_accepts_what_runs_on_it(filename: str, *, accepted: bool) -> None:
    assert accepts(filename) == accepted


def test_an_aarch64_target_accepts_aarch64_wheels() -> None:
    wheel = "a-1-cp311-cp311-manylinux2014_aarch64.whl"
    assert accepts(wheel, platform="aarch64-manylinux_2_28")
    assert not accepts("a-1-cp311-cp311-manylinux2010_aarch64.whl", platform="aarch64-manylinux_2_28")


@pytest.mark.skipif(
    sysconfig.get_platform() != "linux-x86_64", reason="compares with this interpreter's own tags"
)
def test_tags_stand_in_the_order_of_a_real_interpreter() -> None:
    ranks = {tag: rank for rank, tag in enumerate(sys_tags())}
    version = sysconfig.get_python_version()
    tags = target_tags(f"{version}.0", PLATFORM)
    # Plain `linux` wheels come first in `packaging`; in uv, which installs ours, they come last.
    common = [tag for tag in tags if tag in ranks and not tag.platform.startswith("linux")]
    assert len(common) > 100
    assert common == sorted(common, key=lambda tag: ranks[tag])


def test_the_most_specific_wheel_is_taken() -> None:
    tags = target_tags("3.11.10", PLATFORM)
    wheels = [
        "a-1-py3-none-any.whl",
        "a-1-cp38-abi3-manylinux2014_x86_64.whl",
        "a-1-cp311-cp311-manylinux2014_x86_64.whl",
        "a-1-cp311-cp311-manylinux_2_28_x86_64.whl",
    ]
    assert best_wheel(wheels, tags) == wheels[3]
    assert best_wheel(wheels[:3], tags) == wheels[2]
    assert best_wheel(wheels[:2], tags) == wheels[1]


def test_of_equal_wheels_the_highest_build_number_is_taken() -> None:
    wheels = ["a-1-2-py3-none-any.whl", "a-1-10-py3-none-any.whl", "a-1-py3-none-any.whl"]
    assert best_wheel(wheels, target_tags("3.11.10", PLATFORM)) == "a-1-10-py3-none-any.whl"


@pytest.mark.parametrize("platform", ["linux", "x86_64-musllinux_1_2", "windows"])
def test_another_platform_is_refused(platform: str) -> None:
    with pytest.raises(DefinitionError, match=f"platform: '{platform}'"):
        target_tags("3.11.10", platform)
