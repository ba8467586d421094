"""The table of Torch releases: their Pythons, builds, companions and constraints.

What the default index serves stands in releases.json, which `bazel run //tools:update_releases` reads from it: the Pythons
by the names of the wheels, the build by the CUDA runtime that the wheels pin, and which companions suit. `bazel run
//tools:update` checks what a generation uses of it: that the cells said to exist resolve to the said build, and that the
others do not resolve. By hand stand here what no index says.
"""

load("@releases//:releases.bzl", "RELEASES")

COMPANIONS = ["torchvision", "torchaudio"]
MACHINES = ["x86_64", "aarch64"]

# Torch's first releases that work with NumPy 2 are those of 2.3; those before crash with it, and do not say so.
_CONSTRAINTS = {"2.1": ["numpy<2"], "2.2": ["numpy<2"]}

# Which builds PyTorch's own index (https://download.pytorch.org/whl/BUILD) serves for x86_64, besides the one of the default
# index. It has not been seen for aarch64, and for the releases that are not here: of those, the CPU build and that of the
# default index are assumed.
_BUILDS = {
    "2.1": ["cpu", "cu118", "cu121"],
    "2.2": ["cpu", "cu118", "cu121"],
    "2.3": ["cpu", "cu118", "cu121"],
    "2.4": ["cpu", "cu118", "cu121", "cu124"],
    "2.5": ["cpu", "cu118", "cu121", "cu124"],
    "2.6": ["cpu", "cu118", "cu124", "cu126"],
    "2.7": ["cpu", "cu118", "cu126", "cu128"],
    "2.8": ["cpu", "cu126", "cu128", "cu129"],
    "2.9": ["cpu", "cu126", "cu128", "cu130"],
    "2.10": ["cpu", "cu126", "cu128", "cu130"],
}

# Torch releases that a companion cannot be used with, although it names none and finds all symbols that it needs. torchaudio
# refuses to be imported beside a Torch of another CUDA: 2.11.0 is compiled for 13.0, and Torch 2.15.0 for 13.2.
UNSUITABLE = {
    "torchaudio": {"2.11.0": ["2.15.0"]},
    "torchvision": {},
}

def _release(version, facts, machine):
    minor = version.rpartition(".")[0]
    build = facts["build"][machine]
    others = ["cpu"] if build == "cpu" else ["cpu", build]
    return struct(
        uploaded = facts["uploaded"],
        python = facts["wheels"][machine]["python"],
        build = build,
        builds = _BUILDS.get(minor, others) if machine == MACHINES[0] else others,
        constraints = _CONSTRAINTS.get(minor, []),
    )

# By machine and version: when its first wheel was uploaded, the Pythons that it has wheels for, the build of the default
# index, those of PyTorch's own index, and bounds that its metadata forgot.
TORCH_RELEASES = {
    machine: {
        version: _release(version, facts, machine)
        for version, facts in RELEASES["torch"].items()
        if machine in facts["build"]
    }
    for machine in MACHINES
}

def companion(package, torch, exclude_newer, machine):
    """Returns the release of a companion that belongs to a Torch release.

    It is the newest that requires this very release; where there is none, the newest that works with it: what it requires
    of Torch says so, or, where it names no Torch, the symbols of both.

    Args:
      package: torchvision or torchaudio.
      torch: the Torch release.
      exclude_newer: what was uploaded after this time does not exist.
      machine: the machine that it runs on.

    Returns:
      the version, or None where there is none.
    """
    exact, suits = None, None
    for version, facts in RELEASES[package].items():
        if torch not in facts["admits"] or facts["uploaded"] > exclude_newer or machine not in facts["wheels"]:
            continue
        if torch in UNSUITABLE[package].get(version, []):
            continue
        suits = version
        if facts["torch"] == "==" + torch:
            exact = version
    return exact or suits

def companion_serves(package, version, python, machine):
    """Returns whether a release of a companion has a wheel for a Python.

    Args:
      package: torchvision or torchaudio.
      version: its release.
      python: a minor version.
      machine: the machine that it runs on.

    Returns:
      whether there is one.
    """
    pythons = RELEASES[package][version]["wheels"].get(machine, {"python": []})["python"]
    return python in pythons or "any" in pythons

def companion_releases(package):
    """Returns the releases of a companion that the default index serves.

    Args:
      package: torchvision or torchaudio.

    Returns:
      a list of versions, oldest first.
    """
    return [version for version, facts in RELEASES[package].items() if [machine for machine in MACHINES if machine in facts["wheels"]]]
