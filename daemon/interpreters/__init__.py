"""Python interpreters: finds or downloads one for each version, keeps them true, compiles with them.

Enters: the Python versions of a generation. Leaves: `uv/python/NAME/` with a manifest, and bytecode of
sources.
"""
