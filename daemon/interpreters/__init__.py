"""Finds or downloads a Python interpreter for each version, repairs it, and compiles sources with it.

Enters: the Python versions of a generation. Leaves: `uv/python/NAME/` with a manifest, and bytecode.
"""
