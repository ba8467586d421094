"""Programs for contributors to this repository."""
