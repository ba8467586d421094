"""What a layer of an image is to Bazel."""

LayerInfo = provider(
    doc = "A layer of an image.",
    fields = {
        "blob": "File: the compressed tar archive.",
        "facts": "File: its digests and what it holds, as image/oci/layer.py writes it.",
    },
)

def _layer_impl(ctx):
    blob = ctx.actions.declare_file(ctx.label.name + ".tar.gz")
    facts = ctx.actions.declare_file(ctx.label.name + ".json")
    ctx.actions.run(
        executable = ctx.executable._tool,
        arguments = [ctx.actions.args().add_all([
            ctx.file.tar,
            blob,
            facts,
            ctx.attr.created_by,
        ])],
        inputs = [ctx.file.tar],
        outputs = [blob, facts],
        mnemonic = "OciLayer",
    )
    return [
        DefaultInfo(files = depset([blob, facts])),
        LayerInfo(blob = blob, facts = facts),
    ]

oci_layer = rule(
    doc = "A layer of a tar archive, such as pkg_tar makes.",
    implementation = _layer_impl,
    attrs = {
        "created_by": attr.string(doc = "What it holds, for the image's history.", mandatory = True),
        "tar": attr.label(allow_single_file = [".tar"], doc = "The archive, not compressed.", mandatory = True),
        "_tool": attr.label(cfg = "exec", default = "//image/oci:make_layer", executable = True),
    },
)
