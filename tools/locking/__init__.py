"""Locks of generations: finds the stale ones, resolves them with uv, checks them and writes them.

Enters: definitions of generations, their present locks, the indexes that uv reaches. Leaves: the text of new
locks and seals, or the reason why a target does not resolve.
"""
