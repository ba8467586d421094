"""Pushes an image to a registry (OCI distribution-spec v1.1).

Enters: an OCI layout, a repository with tags, the credentials of `docker login`. Leaves: the blobs that the
repository lacked, the manifest, the tags; counts of sent, mounted and skipped blobs; the digest.
"""
