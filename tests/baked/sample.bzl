"""A small environment for images, as files."""

def _sample_impl(ctx):
    folders = {
        name: ctx.actions.declare_directory("%s.%s" % (ctx.label.name, name))
        for name in ("gens", "wheels", "python", "layer")
    }
    lock = ctx.outputs.lock
    ctx.actions.run(
        outputs = folders.values() + [lock],
        executable = ctx.executable._writer,
        arguments = [folders[name].path for name in ("gens", "wheels", "python")] + [lock.path, folders["layer"].path],
        mnemonic = "SampleEnvironment",
    )
    return [
        DefaultInfo(files = depset(folders.values())),
        OutputGroupInfo(**{name: depset([folder]) for name, folder in folders.items()}),
    ]

_sample_environment = rule(
    implementation = _sample_impl,
    doc = "Definitions, wheels and an interpreter of an environment, and a layer on it.",
    attrs = {
        "lock": attr.output(doc = "The lock of the layer.", mandatory = True),
        "_writer": attr.label(default = ":write_sample", executable = True, cfg = "exec"),
    },
)

def sample_environment(name):
    """Declares an environment: NAME.gens, NAME.wheels and NAME.python; and a layer: NAME.lock and NAME.layer.

    Args:
      name: of the targets.
    """
    _sample_environment(
        name = name,
        lock = name + ".lock",
        testonly = True,
    )
    for group in ("gens", "wheels", "python", "layer"):
        native.filegroup(
            name = "%s.%s" % (name, group),
            srcs = [name],
            output_group = group,
            testonly = True,
        )
