"""Checks on a machine with a GPU that reaches no index: makes wheels of what is installed there."""
