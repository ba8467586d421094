"""Keeps what was installed true: verify, scan, repair, prune, and whether the node is ready.

Enters: a prefix and the generations that are active. Leaves: findings, restored files, removed generations.
"""
