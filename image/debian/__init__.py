"""Makes the layers of Debian packages: `lock` selects the packages, `rootfs` unpacks and configures them.

Enters: packages.txt. Leaves: a lock for each architecture, and a layer for each section of it.
"""
