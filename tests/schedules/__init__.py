"""Runs tests in unusual schedules of threads and processes, to find those that pass only in the usual one."""
