"""Bills of materials of images.

Enters: an OCI layout, the lock of its Debian packages, its wheels. Leaves: CycloneDX JSON.
"""
