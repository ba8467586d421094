"""Tests that the runtime activates what the installer writes."""
