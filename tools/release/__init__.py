"""Publishes a release: images, bills of materials, Helm chart and manifests, so that users need no Bazel.

Enters: what Bazel built, a registry, a version. Leaves: images, bills and chart in the registry, and a folder
with the files of the release.
"""
