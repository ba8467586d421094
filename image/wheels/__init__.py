"""Makes the layer of the Python packages that the daemon imports.

Enters: locked wheels, and the .deb files of the image's Python. Leaves: a layer with them installed and
compiled.
"""
