"""The tests of what runs in a model; the runtime itself is POSIX shell and imports nothing."""
