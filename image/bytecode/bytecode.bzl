"""Makes bytecode for the Python of the images."""

def _source(file):
    return ["--source", file.short_path, file.path]

def _bytecode_tar_impl(ctx):
    tar = ctx.actions.declare_file(ctx.label.name + ".tar")
    args = ctx.actions.args()
    args.add("--tar", tar)
    args.add("--folder", ctx.attr.package_dir)
    args.add_all(ctx.files._python, before_each = "--python")
    args.add_all(ctx.files.srcs, map_each = _source)
    ctx.actions.run(
        executable = ctx.executable._tool,
        arguments = [args],
        inputs = ctx.files.srcs + ctx.files._python,
        outputs = [tar],
        mnemonic = "Bytecode",
    )
    return [DefaultInfo(files = depset([tar]))]

bytecode_tar = rule(
    doc = "A tar archive with the bytecode of sources of this repository, to be unpacked beside them.",
    implementation = _bytecode_tar_impl,
    attrs = {
        "package_dir": attr.string(doc = "Folder in the image that corresponds to the repository's root.", mandatory = True),
        "srcs": attr.label_list(allow_files = [".py"], mandatory = True),
        "_python": attr.label(allow_files = [".deb"], cfg = "exec", default = "//image/debian:image_python"),
        "_tool": attr.label(cfg = "exec", default = "//image/bytecode:make_bytecode", executable = True),
    },
)
