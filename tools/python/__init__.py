"""The Python lock, and pytest as the test runner of Bazel."""
