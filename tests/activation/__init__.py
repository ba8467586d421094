"""What the installer writes and the runtime reads, together."""
