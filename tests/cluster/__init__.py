"""A conformance run: what a release promises, tried on a real cluster.

Enters: a kubeconfig, a registry that the cluster pulls from. Leaves: a report; the cluster as it was. Its
tests run it with the real kubectl against a scripted API server.
"""
