"""The CUDA and cuDNN releases that the default index serves as wheels, and thus what a generation may name."""

load("@releases//:releases.bzl", "RELEASES")

# Releases of the meta-package `cuda-toolkit`, whose extra `all` pins every component.
CUDA_RELEASES = RELEASES["cuda"]

# CUDA majors that each cuDNN release is built for: those N that have it as `nvidia-cudnn-cuN` for x86_64.
CUDNN_RELEASES = {
    version: [major for major, machines in majors.items() if "x86_64" in machines]
    for version, majors in RELEASES["cudnn"].items()
}
