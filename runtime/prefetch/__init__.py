"""Reads ahead what the import of an environment reads, for a model that starts on a cold page cache.

Enters: a list that the daemon has recorded. Leaves: its files' parts in the page cache.
"""
