"""Mirrors generations: their wheels and interpreters, in a registry, a folder or an archive.

What enters: the locks, and sources of wheels. What leaves: a mirror in the shape of `gens/mirror_shape.py`.
"""
