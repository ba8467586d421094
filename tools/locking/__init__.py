"""The making of locks: what is stale, resolved by uv, checked, and written whole.

Enters: definitions of generations, the locks that stand, indexes that uv reaches. Leaves: the text of new
locks and seals, or why a target does not resolve.
"""
