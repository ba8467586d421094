"""A node of a test, with the daemon as a real process."""
