"""Tests of the real installer under the faults of a node."""
