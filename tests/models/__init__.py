"""Models that run without a container, on a sample prefix."""
