"""Generations of several machines, end to end."""
