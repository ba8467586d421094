"""The targets that every image of runtime/model.bzl and runtime/baked.bzl has, beside its own."""

load("//image:image.bzl", "oci_index")
load("//image/engine:load.bzl", "oci_load")
load("//image/registry:push.bzl", "oci_push")

def image_targets(name, architectures, **kwargs):
    """Declares NAME, the index of its images, NAME.sbom, NAME.push and NAME.load.

    Args:
      name: of the targets.
      architectures: those of the images NAME_amd64 and so on, each with its bill, NAME_amd64.bill.
      **kwargs: what all rules take: visibility, tags, testonly.
    """
    oci_index(
        name = name,
        images = ["%s_%s" % (name, architecture) for architecture in architectures],
        **kwargs
    )
    native.filegroup(
        name = name + ".sbom",
        srcs = ["%s_%s.bill" % (name, architecture) for architecture in architectures],
        **kwargs
    )
    oci_push(
        name = name + ".push",
        image = ":" + name,
        **kwargs
    )
    oci_load(
        name = name + ".load",
        image = ":" + name,
        tag = name + ":latest",
        **kwargs
    )
