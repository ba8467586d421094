"""Prepares a virtual environment of the user on top of an environment of the prefix."""
