"""The Torch releases: which cells of a matrix exist, and what belongs to each.

Read from the wheels of the default index: file names give the Pythons, the pinned CUDA runtime gives the build, and
Requires-Dist of torchvision and torchaudio gives their match. `bazel run //tools:update` checks what a generation uses
of it against the index: that the cells said to exist resolve to the said build, and that the others do not resolve.
`builds` are those of PyTorch's own index (https://download.pytorch.org/whl/BUILD), which a generation names to get them.
"""

def _pythons(first, last):
    """All minor versions of Python 3 from first to last, such as 8 and 12."""
    return ["3.%d" % minor for minor in range(first, last + 1)]

def _release(python, build, torchvision, torchaudio, builds, absent = {}, constraints = []):
    """One release of Torch.

    Args:
      python: the Pythons that it has wheels for.
      build: tag of the one build that the default index serves.
      torchvision: its torchvision, or None where the index has none of that release.
      torchaudio: its torchaudio, or None where the index has none of that release.
      builds: tags of the builds that PyTorch's own index serves.
      absent: Pythons that torchvision or torchaudio have no wheel for, by package, where Torch has one.
      constraints: bounds that the metadata forgot.

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

# Torch's first releases that work with NumPy 2 are those of 2.3; those before crash with it, and do not say so.
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
