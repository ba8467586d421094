"""Keeps installed generations undamaged, removes old ones, and reads whether the node is ready.

Enters: a prefix and the generations that are active. Leaves: findings, restored files, removed generations.
"""
