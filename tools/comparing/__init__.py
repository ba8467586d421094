"""The comparison of two generations.

Enters: two generations with their locks. Leaves: which targets came and went, and what changed in those
that stayed.
"""
