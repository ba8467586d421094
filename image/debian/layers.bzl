"""Makes the layers of Debian packages."""

load("//image/oci:layer.bzl", "LayerInfo")

def _debian_layers_impl(ctx):
    outputs = {
        layer: (
            ctx.actions.declare_file("%s/%s.tar.gz" % (ctx.label.name, layer)),
            ctx.actions.declare_file("%s/%s.json" % (ctx.label.name, layer)),
        )
        for layer in ctx.attr.layers
    }
    files = [file for pair in outputs.values() for file in pair]
    args = ctx.actions.args()
    args.add("--lock", ctx.file.lock)
    args.add("--tables", ctx.files.tables[0].dirname)
    args.add("--packages", ctx.files.packages[0].dirname)
    args.add_all(ctx.files.programs, before_each = "--program")
    args.add("--output", files[0].dirname)
    ctx.actions.run(
        executable = ctx.executable._tool,
        arguments = [args],
        inputs = [ctx.file.lock] + ctx.files.tables + ctx.files.packages + ctx.files.programs,
        outputs = files,
        mnemonic = "DebianLayers",
        progress_message = "Making the layers of %d Debian packages" % len(ctx.files.packages),
    )
    return [
        DefaultInfo(files = depset(files)),
        OutputGroupInfo(**{layer: depset(pair) for layer, pair in outputs.items()}),
    ]

_debian_layers = rule(
    implementation = _debian_layers_impl,
    attrs = {
        "layers": attr.string_list(mandatory = True),
        "lock": attr.label(allow_single_file = True, mandatory = True),
        "packages": attr.label_list(allow_files = [".deb"], mandatory = True),
        "programs": attr.label(
            allow_files = [".deb"],
            cfg = "exec",
            default = "//image/debian:programs",
            doc = "The packages for the builder's architecture whose programs configure the layers.",
        ),
        "tables": attr.label_list(allow_files = True, mandatory = True),
        "_tool": attr.label(cfg = "exec", default = "//image/debian/rootfs:make_layers", executable = True),
    },
)

def _debian_layer_impl(ctx):
    files = ctx.attr.of[OutputGroupInfo][ctx.attr.layer].to_list()
    return [
        DefaultInfo(files = depset(files)),
        LayerInfo(blob = files[0], facts = files[1]),
    ]

_debian_layer = rule(
    implementation = _debian_layer_impl,
    attrs = {
        "layer": attr.string(mandatory = True),
        "of": attr.label(mandatory = True),
    },
)

def debian_layers(name, architecture, layers, tables):
    """Makes the layers of a lock of Debian packages, and a target for each: LAYER_ARCHITECTURE.

    Args:
      name: of the target of all.
      architecture: of the packages, which the repository @debian_ARCHITECTURE holds.
      layers: the names of the layers in the lock, the lowest first.
      tables: scripts.txt and alternatives.txt.
    """
    _debian_layers(
        name = name,
        layers = layers,
        lock = "packages.%s.lock.json" % architecture,
        packages = ["@debian_%s//:%s" % (architecture, layer) for layer in layers],
        tables = tables,
    )
    for layer in layers:
        _debian_layer(
            name = "%s_%s" % (layer, architecture),
            layer = layer,
            of = name,
        )
