"""The generations that nodes hold, oldest first. A published one is never changed: add another (README.md)."""

load(":defs.bzl", "monogen")

# What people build wheels of their own with.
_SEED_PACKAGES = ["cython", "packaging", "pip", "setuptools", "wheel"]

PROD_MONOGENS = [
    monogen(
        id = 0,
        cuda = {"12.1": "12.1.1", "12.4": "12.4.1"},
        cudnn = {"8": "8.9.7.29", "9": "9.1.0.70"},
        python = {"3.10": "3.10.22", "3.11": "3.11.18", "3.12": "3.12.16"},
        torch = ["2.2.2", "2.3.1", "2.4.1", "2.5.1", "2.6.0"],
        packages = _SEED_PACKAGES,
        exclude_newer = "2026-11-01T00:00:00Z",
    ),
    monogen(
        id = 1,
        cuda = {"12.1": "12.1.1", "12.4": "12.4.1", "12.6": "12.6.3", "12.8": "12.8.1"},
        cudnn = {"8": "8.9.7.29", "9": "9.10.2.21"},
        python = {"3.10": "3.10.22", "3.11": "3.11.18", "3.12": "3.12.16", "3.13": "3.13.18"},
        torch = ["2.2.2", "2.3.1", "2.4.1", "2.5.1", "2.6.0", "2.7.1", "2.8.0", "2.9.1", "2.10.0"],
        absences = [
            "torch==2.2.2 for 3.13",
            "torch==2.3.1 for 3.13",
            "torch==2.4.1 for 3.13",
            "torchvision==0.20.1 for 3.13",
            "torchaudio==2.5.1 for 3.13",
        ],
        packages = _SEED_PACKAGES,
        exclude_newer = "2026-11-01T00:00:00Z",
    ),
    monogen(
        id = 2,
        cuda = {"12.8": "12.8.1", "13.0": "13.0.3", "13.2": "13.2.2"},
        cudnn = {"9": "9.26.0.51"},
        python = {"3.11": "3.11.18", "3.12": "3.12.16", "3.13": "3.13.18", "3.14": "3.14.10"},
        torch = ["2.8.0", "2.10.0", "2.11.0", "2.12.1", "2.13.0", "2.14.1", "2.15.0"],
        # As it was locked, when only companions that require this very Torch were known.
        companions = {
            "2.12.1": {"torchaudio": None},
            "2.13.0": {"torchaudio": None},
            "2.14.1": {"torchvision": "0.29.1", "torchaudio": None},
            "2.15.0": {"torchvision": None, "torchaudio": None},
        },
        absences = [
            "torch==2.8.0 for 3.14",
            "torchaudio==2.12.1 for 3.11",
            "torchaudio==2.13.0 for 3.11",
            "torchaudio==2.14.1 for 3.11",
            "torchvision==0.30.0 for 3.11",
            "torchaudio==2.15.0 for 3.11",
        ],
        packages = _SEED_PACKAGES,
        exclude_newer = "2026-11-01T00:00:00Z",
    ),
]
