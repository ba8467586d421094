"""The architectures of the images, by the names that Debian and OCI share."""

ARCHITECTURES = [
    "amd64",
    "arm64",
]
