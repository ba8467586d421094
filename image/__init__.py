"""Makes container images and their bills of materials, pushes them to registries, loads them into engines.

Enters: locked Debian packages, locked wheels, tar archives of Monobase's code. Leaves: OCI layouts, the same
bytes on every machine; bills of materials; images in a registry or in a container engine.
"""
