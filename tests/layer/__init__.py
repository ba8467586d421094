"""Layers on environments of a sample prefix: what models see, and what can go wrong."""
