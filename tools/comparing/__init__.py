"""The comparison of two generations.

Enters: two generations with their locks. Leaves: the targets that were added or removed, and the
packages that changed in the others.
"""
