"""The push of an image to a registry (OCI distribution-spec v1.1).

Enters: an OCI layout, a repository with tags, and what `docker login` left. Leaves: the blobs that the
repository lacked, the manifest, the tags; what was sent, mounted and skipped; the digest.
"""
