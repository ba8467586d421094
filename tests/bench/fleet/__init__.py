"""A model of a large fleet: how long an install takes on all nodes, and how often the origin is read.

Enters: the assumptions of `assumptions.py`. Leaves: a table, JSON, a picture (`docs/fleet.md`).
"""
