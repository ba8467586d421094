"""Libraries to link with."""

def _link_stub_impl(ctx):
    library = ctx.actions.declare_file(ctx.label.name + ".so")
    args = ctx.actions.args()
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
    doc = "A shared object of x86-64 that stands for a library of the driver's while something is linked.",
    implementation = _link_stub_impl,
    attrs = {
        "error": attr.int(mandatory = True, doc = "What its functions return, should somebody load it after all."),
        "soname": attr.string(mandatory = True, doc = "The name by which the loader will look for the driver's library."),
        "symbols": attr.label(allow_single_file = [".txt"], mandatory = True, doc = "The names of its functions."),
        "_tool": attr.label(cfg = "exec", default = "//image/stubs:make_stub", executable = True),
    },
)
