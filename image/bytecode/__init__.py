"""Bytecode for the Python of the images.

Enters: sources of this repository, and the .deb files of that Python. Leaves: a tar archive of their
bytecode.
"""
