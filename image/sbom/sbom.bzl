"""Bills of materials of images."""

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

oci_sbom = rule(
    doc = "The bill of materials of an image as CycloneDX JSON, NAME.cdx.json, read from the image's layers.",
    implementation = _oci_sbom_impl,
    attrs = {
        "image": attr.label(allow_single_file = True, doc = "The image, an OCI layout.", mandatory = True),
        "lock": attr.label(
            allow_single_file = True,
            default = "//image/debian:packages.lock.json",
            doc = "What its Debian packages are locked in, for the digests of the .deb files.",
        ),
        "wheels": attr.label_list(
            allow_files = [".whl"],
            doc = "The wheels that are installed in it, for their digests.",
        ),
        "_tool": attr.label(cfg = "exec", default = "//image/sbom:make_sbom", executable = True),
    },
)
