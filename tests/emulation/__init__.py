"""Runs the images for arm64 on x86-64, with an emulator that the kernel calls for their programs."""
