"""Loads an image into podman or Docker.

Enters: an OCI layout and names. Leaves: the image in the engine of this machine, under these names.
"""
