"""A small image as a target, for tests of what is done with images."""

def _sample_image_impl(ctx):
    layout = ctx.actions.declare_directory(ctx.label.name)
    ctx.actions.run(
        outputs = [layout],
        executable = ctx.executable._writer,
        arguments = [layout.path] + [str(size) for size in ctx.attr.sizes],
        mnemonic = "SampleImage",
    )
    return [DefaultInfo(files = depset([layout]))]

sample_image = rule(
    implementation = _sample_image_impl,
    doc = "A folder with an OCI layout.",
    attrs = {
        "sizes": attr.int_list(mandatory = True, doc = "Bytes of each layer's file."),
        "_writer": attr.label(default = ":write_sample_layout", executable = True, cfg = "exec"),
    },
)
