"""Runs uv: its program, its settings, its cache, and what its failures mean.

Enters: a command line and variables. Leaves: uv's output, wheels in its cache, errors of ours. What uv
needs to go through a proxy is handed in.
"""
