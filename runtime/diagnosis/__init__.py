"""Finds out in a container why an environment does not run, or runs badly: the command `doctor`."""
