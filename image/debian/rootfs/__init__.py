"""A file system of Debian packages, made without dpkg and without root.

Enters: the .deb files of the lock, and the tables of what their scripts do. Leaves: for each section of the
lock the layer that it adds, with dpkg's database and the bytecode of its Python sources.
"""
