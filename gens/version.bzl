"""The version of a build, with the commit where it is stamped."""

def _version_impl(ctx):
    output = ctx.actions.declare_file(ctx.label.name + ".json")

    # The workspace status has the commit: an action that reads it runs again for each commit. Only a stamped build does.
    status = [ctx.info_file] if ctx.attr.stamped else []
    ctx.actions.run(
        executable = ctx.executable._tool,
        arguments = [file.path for file in [ctx.file.src, output] + status],
        inputs = [ctx.file.src] + status,
        outputs = [output],
        mnemonic = "Version",
    )
    return [DefaultInfo(files = depset([output]), runfiles = ctx.runfiles([output]))]

_version = rule(
    doc = "NAME.json, which gens/version.py reads.",
    implementation = _version_impl,
    attrs = {
        "src": attr.label(allow_single_file = True, doc = "The file with the version.", mandatory = True),
        "stamped": attr.bool(doc = "Whether this is a stamped build.", mandatory = True),
        "_tool": attr.label(cfg = "exec", default = "//gens:make_version", executable = True),
    },
)

def version(name, src, **kwargs):
    """Writes NAME.json: the version of this build, and its commit where it is stamped.

    Args:
      name: name of the target.
      src: file with the version.
      **kwargs: attributes of every rule.
    """
    _version(
        name = name,
        src = src,
        stamped = select({
            Label("//gens:is_stamped"): True,
            "//conditions:default": False,
        }),
        **kwargs
    )
