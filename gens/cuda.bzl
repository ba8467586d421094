"""The CUDA and cuDNN releases that the default index serves as wheels, and thus what a generation may name."""

load("@releases//:releases.bzl", "RELEASES")

# Releases of the meta-package `cuda-toolkit`, whose extra `all` pins every component.
CUDA_RELEASES = RELEASES["cuda"]

# CUDA majors that each cuDNN release is built for: those N that have it as `nvidia-cudnn-cuN`, with their machines.
CUDNN_RELEASES = RELEASES["cudnn"]

def cuda_requirement(version, machine):
    """Returns what a CUDA toolkit consists of on a machine.

    The rule: all of it, without the extras of `cuda-toolkit` that have a package without a wheel for that machine.

    Args:
      version: a release of CUDA_RELEASES.
      machine: the machine, such as aarch64.

    Returns:
      the requirement, or None where nothing of it has wheels for that machine.
    """
    extras = RELEASES["cuda_extras"].get(version, {}).get(machine, ["all"])
    return "cuda-toolkit[%s]==%s" % (",".join(extras), version) if extras else None
