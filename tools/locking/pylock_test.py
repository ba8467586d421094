"""pylock.toml: the wheels that uv names, and refusal of what is not a wheel of an index."""

import pytest

from gens.errors import ResolutionError
from tools.locking.pylock import parse_pylock

PYLOCK = """\
lock-version = "1.0"
created-by = "uv"

[[packages]]
name = "torch"
version = "2.4.1+cu118"
wheels = [{ url = "https://example.org/whl/torch-2.4.1%2Bcu118-cp311-cp311-linux_x86_64.whl" }]

[[packages]]
name = "Cython"
version = "3.3.0"
sdist = { url = "https://example.org/cython-3.3.0.tar.gz", hashes = { sha256 = "cc" } }
wheels = [
    { url = "https://example.org/cython-3.3.0-py3-none-any.whl", size = 7, hashes = { sha256 = "aa" } },
    { name = "cython-3.3.0-cp311-cp311-linux_x86_64.whl", url = "https://example.org/x", size = 8 },
]
"""


def test_packages_come_in_order_of_their_normalized_names() -> None:
    assert [(package.name, package.version) for package in parse_pylock(PYLOCK)] == [
        ("cython", "3.3.0"),
        ("torch", "2.4.1+cu118"),
    ]


def test_the_file_name_is_the_given_one_or_that_of_the_decoded_url() -> None:
    cython, torch = parse_pylock(PYLOCK)
    assert [wheel.filename for wheel in cython.wheels] == [
        "cython-3.3.0-py3-none-any.whl",
        "cython-3.3.0-cp311-cp311-linux_x86_64.whl",
    ]
    assert torch.wheels[0].filename == "torch-2.4.1+cu118-cp311-cp311-linux_x86_64.whl"


def test_hash_and_size_are_none_where_the_index_gives_none() -> None:
    cython, torch = parse_pylock(PYLOCK)
    assert [(wheel.sha256, wheel.size_bytes) for wheel in cython.wheels] == [("aa", 7), (None, 8)]
    assert (torch.wheels[0].sha256, torch.wheels[0].size_bytes) == (None, None)


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ('wheels = [{ path = "/opt/wheels/torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl" }]', "wheels"),
        ('sdist = { url = "https://example.org/torch-2.13.0.tar.gz" }', "sdist"),
        ('directory = { path = "." }', "directory"),
    ],
)
def test_a_package_that_is_not_a_wheel_of_an_index_is_refused(source: str, word: str) -> None:
    with pytest.raises(
        ResolutionError, match=f"torch 2.13.0 resolved to a local {word}, not to wheels of an index"
    ):
        parse_pylock(f'[[packages]]\nname = "torch"\nversion = "2.13.0"\n{source}\n')
