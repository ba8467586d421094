"""Wraps the operating system: files, durability, locks, child processes, errors.

Enters: paths and programs. Leaves: durable writes, digests, exit codes, and errors of ours for
what the system refuses. Knows neither prefix nor uv.
"""
