"""Tests of a shell in an environment of a prefix in the user's home."""
