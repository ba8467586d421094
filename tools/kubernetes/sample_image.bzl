"""An image for tests."""

def _sample_image_impl(ctx):
    directory = ctx.actions.declare_directory(ctx.attr.name)
    ctx.actions.run(
        executable = ctx.executable._tool,
        arguments = [directory.path, ctx.attr.name],
        outputs = [directory],
        mnemonic = "SampleImage",
    )
    return [DefaultInfo(files = depset([directory]))]

sample_image = rule(
    implementation = _sample_image_impl,
    doc = "An OCI layout without a layer, of the shape that image targets have.",
    attrs = {
        "_tool": attr.label(default = "//tools/kubernetes:sample_image", executable = True, cfg = "exec"),
    },
)
