"""Small prefixes for unit tests, made in milliseconds without uv, index or network.

Enters: cells of `tests/synthetic/catalog.py`. Leaves: a prefix with definitions and locks that `verify` finds
undamaged, and that a test can bring into each state.
"""
