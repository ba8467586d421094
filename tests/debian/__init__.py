"""Small Debian packages and archives for tests."""
