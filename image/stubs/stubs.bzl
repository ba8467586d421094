"""Makes libraries to link with instead of NVIDIA's driver."""

def _link_stub_impl(ctx):
    # The library names itself in its message, by the name of the file.
    library = ctx.actions.declare_file("%s/%s.so" % (ctx.attr.architecture, ctx.attr.library))
    args = ctx.actions.args()
    args.add("--architecture", ctx.attr.architecture)
    args.add(ctx.file.symbols)
    args.add(library)
    args.add("--soname", ctx.attr.soname)
    args.add("--error", ctx.attr.error)
    ctx.actions.run(
        executable = ctx.executable._tool,
        arguments = [args],
        inputs = [ctx.file.symbols],
        outputs = [library],
        mnemonic = "LinkStub",
    )
    return [DefaultInfo(files = depset([library]))]

link_stub = rule(
    doc = "A shared object that replaces a library of the driver while programs are linked.",
    implementation = _link_stub_impl,
    attrs = {
        "architecture": attr.string(mandatory = True),
        "error": attr.int(mandatory = True, doc = "Error code that its functions return if a process loads it."),
        "library": attr.string(mandatory = True, doc = "Name of the file, without its suffix."),
        "soname": attr.string(mandatory = True, doc = "Name of the driver's library, which the loader looks for."),
        "symbols": attr.label(allow_single_file = [".txt"], mandatory = True, doc = "The names of its functions."),
        "_tool": attr.label(cfg = "exec", default = "//image/stubs:make_stub", executable = True),
    },
)
