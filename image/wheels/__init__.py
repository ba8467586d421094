"""The layer of the daemon's own Python packages.

Enters: locked wheels, and the .deb files of the image's Python. Leaves: a layer with them installed and
compiled.
"""
