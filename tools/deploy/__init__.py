"""Kubernetes manifests with the digests of the images that Bazel built.

Enters: a kustomization with its manifests, OCI layouts, a registry. Leaves: the same folder with its images
pinned by digest, for `kubectl apply -k`; the objects as YAML, for `kubectl apply -f -`.
"""
