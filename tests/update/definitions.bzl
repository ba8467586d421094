"""Generations that the tests resolve. A test replaces the host index.test by the one of its own index."""

load("//gens:defs.bzl", "monogen")

_COMMON = {
    "cudnn": {"9": "9.1.0.70"},
    "exclude_newer": "2024-10-01T00:00:00Z",
    "packages": ["setuptools", "wheel"],
}

MONOGENS = [
    # All from the default index.
    monogen(
        id = 0,
        cuda = {"12.1": "12.1.1"},
        python = {"3.10": "3.10.15", "3.11": "3.11.10"},
        torch = ["2.3.1", "2.4.1"],
        **_COMMON
    ),
    # One build of the default index, and two of PyTorch's.
    monogen(
        id = 1,
        cuda = {"11.8": "11.8.0", "12.1": "12.1.1"},
        indexes = {
            "cpu": "http://index.test/whl/cpu/",
            "cu118": "http://index.test/whl/cu118/",
        },
        python = {"3.11": "3.11.10"},
        torch = ["2.4.1"],
        **_COMMON
    ),
    # A release whose metadata forgot a bound, which the Torch table has.
    monogen(
        id = 2,
        cuda = {"12.1": "12.1.1"},
        python = {"3.11": "3.11.10"},
        torch = ["2.2.2"],
        **_COMMON
    ),
]
