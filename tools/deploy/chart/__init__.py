"""A Helm chart of the same base and components as the kustomization.

Enters: the manifests of a base and of its components, the digest of an image, a version. Leaves: a chart as a
`.tgz`, always the same bytes for the same input, and as an OCI artifact that `helm install oci://…` pulls.
`helm template` prints the objects that kustomize builds with the corresponding components; a test of
`daemon/kubernetes` compares them.
"""
