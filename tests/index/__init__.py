"""A package index on loopback that serves small real wheels, and misbehaves when a test asks it to."""
