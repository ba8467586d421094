"""What every image of Monobase is published with."""

load("//image/engine:load.bzl", "oci_load")
load("//image/registry:push.bzl", "oci_push")
load("//image/sbom:sbom.bzl", "oci_sbom")

def published(name, image, tag, wheels = [], **kwargs):
    """Declares `sbom`, `push` and `load` of an `oci_image` of this package.

    Args:
      name: not used.
      image: the `oci_image`.
      tag: what the image is called in a container engine: `monobase-daemon:latest`.
      wheels: labels of the wheels that are installed in it; `{architecture}` stands for the name of the architecture.
      **kwargs: what all rules take.
    """
    oci_sbom(
        name = "sbom",
        image = image,
        wheels = wheels,
        **kwargs
    )
    oci_push(
        name = "push",
        image = image,
        **kwargs
    )
    oci_load(
        name = "load",
        image = image,
        tag = tag,
        **kwargs
    )
