"""Benchmarks: ratios of one run, never times that a test asserts."""
