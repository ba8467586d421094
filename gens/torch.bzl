"""The table of Torch releases: their Pythons, builds, companions and constraints.

It was read from the wheels of the default index: file names give the Pythons, the pinned CUDA runtime gives the build, and
Requires-Dist of torchvision and torchaudio gives their match. `bazel run //tools:update` checks the rows that a generation
uses against the index: cells of the table resolve to the listed build, and all others do not resolve. `builds` are those of
PyTorch's own index (https://download.pytorch.org/whl/BUILD); a generation that names that index gets them.
"""

def _pythons(first, last):
    """Returns all minor versions of Python 3 from first to last, such as 8 and 12."""
    return ["3.%d" % minor for minor in range(first, last + 1)]

def _release(python, build, torchvision, torchaudio, builds, absent = {}, constraints = []):
    """Returns the facts of one Torch release.

    Args:
      python: Pythons that have wheels.
      build: tag of the build that the default index serves.
      torchvision: matching torchvision, or None if the index has none.
      torchaudio: matching torchaudio, or None if the index has none.
      builds: tags of the builds in PyTorch's own index.
      absent: by package, Pythons for which Torch has a wheel, and torchvision or torchaudio has none.
      constraints: version bounds that the wheels' metadata lacks.

    Returns:
      a struct of these.
    """
    return struct(
        python = python,
        build = build,
        companions = {"torchvision": torchvision, "torchaudio": torchaudio},
        builds = builds,
        absent = absent,
        constraints = constraints,
    )

# Torch supports NumPy 2 from 2.3 on. Earlier releases crash with it, and their metadata allows it.
_NUMPY_1 = ["numpy<2"]

# In 2.5 only Torch itself has wheels for Python 3.13.
_NO_COMPANION_313 = {"torchvision": ["3.13"], "torchaudio": ["3.13"]}

_BUILDS_2_2 = ["cpu", "cu118", "cu121"]
_BUILDS_2_4 = ["cpu", "cu118", "cu121", "cu124"]
_BUILDS_2_6 = ["cpu", "cu118", "cu124", "cu126"]
_BUILDS_2_7 = ["cpu", "cu118", "cu126", "cu128"]
_BUILDS_2_8 = ["cpu", "cu126", "cu128", "cu129"]
_BUILDS_2_9 = ["cpu", "cu126", "cu128", "cu130"]

TORCH_RELEASES = {
    "2.2.0": _release(_pythons(8, 12), "cu121", "0.17.0", "2.2.0", _BUILDS_2_2, constraints = _NUMPY_1),
    "2.2.1": _release(_pythons(8, 12), "cu121", "0.17.1", "2.2.1", _BUILDS_2_2, constraints = _NUMPY_1),
    "2.2.2": _release(_pythons(8, 12), "cu121", "0.17.2", "2.2.2", _BUILDS_2_2, constraints = _NUMPY_1),
    "2.3.0": _release(_pythons(8, 12), "cu121", "0.18.0", "2.3.0", _BUILDS_2_2),
    "2.3.1": _release(_pythons(8, 12), "cu121", "0.18.1", "2.3.1", _BUILDS_2_2),
    "2.4.0": _release(_pythons(8, 12), "cu121", "0.19.0", "2.4.0", _BUILDS_2_4),
    "2.4.1": _release(_pythons(8, 12), "cu121", "0.19.1", "2.4.1", _BUILDS_2_4),
    "2.5.0": _release(_pythons(9, 13), "cu124", "0.20.0", "2.5.0", _BUILDS_2_4, absent = _NO_COMPANION_313),
    "2.5.1": _release(_pythons(9, 13), "cu124", "0.20.1", "2.5.1", _BUILDS_2_4, absent = _NO_COMPANION_313),
    "2.6.0": _release(_pythons(9, 13), "cu124", "0.21.0", "2.6.0", _BUILDS_2_6),
    "2.7.0": _release(_pythons(9, 13), "cu126", "0.22.0", "2.7.0", _BUILDS_2_7),
    "2.7.1": _release(_pythons(9, 13), "cu126", "0.22.1", "2.7.1", _BUILDS_2_7),
    "2.8.0": _release(_pythons(9, 13), "cu128", "0.23.0", "2.8.0", _BUILDS_2_8),
    "2.9.0": _release(_pythons(10, 14), "cu128", "0.24.0", "2.9.0", _BUILDS_2_9),
    "2.9.1": _release(_pythons(10, 14), "cu128", "0.24.1", "2.9.1", _BUILDS_2_9),
    "2.10.0": _release(_pythons(10, 14), "cu128", "0.25.0", "2.10.0", _BUILDS_2_9),
    # Which CUDA builds PyTorch's own index serves from here on has not been seen: add them when they have.
    "2.11.0": _release(_pythons(10, 14), "cu130", "0.26.0", "2.11.0", ["cpu", "cu130"]),
    "2.12.0": _release(_pythons(10, 14), "cu130", "0.27.0", None, ["cpu", "cu130"]),
    "2.12.1": _release(_pythons(10, 14), "cu130", "0.27.1", None, ["cpu", "cu130"]),
    "2.13.0": _release(_pythons(10, 14), "cu130", "0.28.0", None, ["cpu", "cu130"]),
    "2.14.0": _release(_pythons(10, 14), "cu130", "0.29.0", None, ["cpu", "cu130"]),
    "2.14.1": _release(_pythons(10, 14), "cu130", "0.29.1", None, ["cpu", "cu130"]),
    "2.15.0": _release(_pythons(11, 15), "cu132", None, None, ["cpu", "cu132"]),
}
