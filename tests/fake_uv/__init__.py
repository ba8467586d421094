"""A uv for unit tests: no process, no network, no index.

Enters: the command lines that the daemon gives uv. Leaves: virtual environments and archives in the cache of
a fake prefix, made of its wheels in milliseconds.
"""
