"""Wheels of locks: their names, versions and files, as PyPA's specifications have them."""

from hypothesis import strategies as st
from packaging.utils import canonicalize_name
from packaging.version import Version

from gens.lock import LockedWheel
from tests.laws.names import sha256s

_LARGEST_BYTES = 2**40
_TAGS = (
    "py3-none-any", "cp311-cp311-linux_x86_64", "cp310-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64",
    "py2.py3-none-any", "1-cp312-cp312-manylinux_2_28_x86_64",
)  # fmt: skip


def package_names() -> st.SearchStrategy[str]:
    """Generate normalized names of packages (PEP 503)."""
    words = st.lists(st.text("abz019", min_size=1, max_size=5), min_size=1, max_size=3)
    return words.map(lambda parts: canonicalize_name("-".join(parts)))


def versions() -> st.SearchStrategy[str]:
    """Generate versions (PEP 440): epochs, pre-, post- and development releases, local labels."""
    numbers = st.integers(0, 3_000)
    return st.builds(
        lambda epoch, release, pre, post, dev, local: str(
            Version(f"{epoch}{'.'.join(map(str, release))}{pre}{post}{dev}{local}")
        ),
        st.sampled_from(["", "1!"]),
        st.lists(numbers, min_size=1, max_size=4),
        st.sampled_from(["", "a1", "b2", "rc10"]),
        st.sampled_from(["", ".post1"]),
        st.sampled_from(["", ".dev3"]),
        st.sampled_from(["", "+cu118", "+cpu", "+1.a"]),
    )


def locked_wheels(
    names: st.SearchStrategy[str] | None = None, numbers: st.SearchStrategy[str] | None = None
) -> st.SearchStrategy[LockedWheel]:
    """Generate wheels of a lock.

    Args:
        names: Names of packages to choose from; any when None.
        numbers: Versions to choose from; any when None.
    """
    return st.builds(
        lambda name, version, tags, sha256, size: LockedWheel(
            name, version, sha256, f"{name.replace('-', '_')}-{version}-{tags}.whl", size
        ),
        package_names() if names is None else names,
        versions() if numbers is None else numbers,
        st.sampled_from(_TAGS),
        sha256s(),
        st.integers(1, _LARGEST_BYTES),
    )
