"""Tests of the disk budget that need a node."""
