"""The lock of Debian packages: which versions, by SHA-256 and place in the pool.

Enters: names of packages, and the archive that apt knows on this machine. Leaves: packages.lock.json, read
and written; addresses of mirrors.
"""
