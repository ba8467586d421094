"""Downloads what the emulation needs: the emulator for the builder, and wheels for the emulated machine."""

load("//image/debian:debian.bzl", "debian_packages")
load("//image/wheels:wheels.bzl", "python_wheels")

def _emulation_impl(_mctx):
    debian_packages(
        name = "emulator",
        lock = "//tests/emulation:packages.amd64.lock.json",
    )
    python_wheels(
        name = "emulated_wheels",
        architecture = "arm64",
        distributions = ["numpy"],
        requirements = "//tests/emulation:requirements.txt",
    )

emulation = module_extension(implementation = _emulation_impl)
