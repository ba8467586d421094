"""Tests that need several folders, and the indexes, registries and nodes that they use."""
