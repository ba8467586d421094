"""The layers of Debian packages: first which packages (`lock`), then a file system of them (`rootfs`).

Enters: packages.txt. Leaves: packages.lock.json, and a layer for each section of it.
"""
