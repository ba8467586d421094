"""The sources of wheels and interpreters: one stable index on loopback, answered from the locks.

uv requests each wheel from Monobase's index, which streams it by its SHA-256 from the sources in their order:
a registry, a mirror, a folder.

Enters: the sources' locations, and the wheels of locks. Leaves: uv's configuration for the index, and the
count of what each source sent and failed.
"""
