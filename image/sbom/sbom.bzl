"""Bills of materials of images."""

load("//image:architectures.bzl", "ARCHITECTURES")

def _oci_sbom_impl(ctx):
    output = ctx.actions.declare_file(ctx.label.name + ".cdx.json")
    args = ctx.actions.args()
    args.add("--image", ctx.file.image.path)
    args.add("--lock", ctx.file.lock)
    args.add("--output", output)
    args.add_all(ctx.files.wheels)
    ctx.actions.run(
        executable = ctx.executable._tool,
        arguments = [args],
        inputs = [ctx.file.image, ctx.file.lock] + ctx.files.wheels,
        outputs = [output],
        mnemonic = "OciSbom",
    )
    return [DefaultInfo(files = depset([output]), runfiles = ctx.runfiles([output]))]

_oci_sbom = rule(
    doc = "The bill of materials of an image as CycloneDX JSON, NAME.cdx.json, read from the image's layers.",
    implementation = _oci_sbom_impl,
    attrs = {
        "image": attr.label(allow_single_file = True, doc = "The image, an OCI layout.", mandatory = True),
        "lock": attr.label(
            allow_single_file = True,
            doc = "What its Debian packages are locked in, for the digests of the .deb files.",
            mandatory = True,
        ),
        "wheels": attr.label_list(
            allow_files = [".whl"],
            doc = "The wheels that are installed in it, for their digests.",
        ),
        "_tool": attr.label(cfg = "exec", default = "//image/sbom:make_sbom", executable = True),
    },
)

def oci_sbom(name, image, wheels = [], **kwargs):
    """Makes the bills of an `oci_image`, NAME_amd64 and NAME_arm64; NAME is all of them.

    Args:
      name: of the targets.
      image: the label of the `oci_image`, in this package.
      wheels: labels of the wheels that are installed in it; `{architecture}` stands for the name of the architecture.
      **kwargs: what the rule takes besides.
    """
    for architecture in ARCHITECTURES:
        _oci_sbom(
            name = "%s_%s" % (name, architecture),
            image = "%s_%s" % (image, architecture),
            lock = Label("//image/debian:packages.%s.lock.json" % architecture),
            wheels = [label.format(architecture = architecture) for label in wheels],
            **kwargs
        )
    native.filegroup(
        name = name,
        srcs = ["%s_%s" % (name, architecture) for architecture in ARCHITECTURES],
        visibility = kwargs.get("visibility"),
    )
