"""Generations made for tests: what they hold is said, not resolved."""
