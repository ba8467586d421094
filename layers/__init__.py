"""Layers: a model's own packages on top of an environment of a generation.

Enters: a layer lock (`model.lock`), the wheels that it names, the lock of its base. Leaves: a layer, a venv
with only what the base lacks.
"""
