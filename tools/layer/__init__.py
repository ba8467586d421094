"""Locks of layers: solves a model's requirements together with the pins of an environment.

Enters: requirements of a model, the lock of an environment, the indexes that uv reaches. Leaves: a layer lock
(`layers/lock.py`) with what the environment lacks, or who wants what and which pin is in the way.
"""
