"""Makes a file system of Debian packages, without dpkg and without root.

Enters: .deb files of the lock, tables that describe their scripts. Leaves: a layer for each section of the
lock, with dpkg's database and the bytecode of its Python sources.
"""
