"""A release is of another age by its major version, or by half of the minor of a version 0."""

import pytest
from packaging.version import Version

from tools.layer.fallback import _is_of_another_age


@pytest.mark.parametrize(
    ("old", "new"), [("3.36", "6.31"), ("1.9.0", "2.0"), ("0.2.2", "0.21.0"), ("0.9", "1.0"), ("0.1", "0.3")]
)
def test_an_older_major_or_far_older_minor_of_version_0_is_of_another_age(old: str, new: str) -> None:
    assert _is_of_another_age(Version(old), Version(new))


@pytest.mark.parametrize(
    ("old", "new"), [("1.0", "1.99"), ("0.34.1", "0.36"), ("0.1", "0.2"), ("2.0", "2.0.1")]
)
def test_a_release_of_the_same_major_is_not(old: str, new: str) -> None:
    assert not _is_of_another_age(Version(old), Version(new))
