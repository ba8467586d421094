"""Container images: their layers and configuration, bills of materials, and the ways out of the build.

Enters: locked Debian packages, locked wheels, tar archives of our own code. Leaves: OCI layouts, the same
bytes on every machine; bills of materials; images in a registry or in a container engine.
"""
