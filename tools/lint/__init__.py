"""The checks of the source tree."""
