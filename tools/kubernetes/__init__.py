"""Kubernetes manifests: pinning and printing."""
