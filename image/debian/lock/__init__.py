"""The locks of Debian packages, one for each architecture: versions, SHA-256 digests and paths in the pool.

Enters: names of packages, the mirror of this machine's apt configuration. Leaves: packages.*.lock.json,
read and written; addresses of mirrors.
"""
