"""Images of layers, as OCI layouts."""

load("//image:architectures.bzl", "ARCHITECTURES")
load("//image/oci:layer.bzl", "LayerInfo")

_PREFIX = "org.opencontainers.image."

def _oci_image_impl(ctx):
    layout = ctx.actions.declare_directory(ctx.label.name)
    config = ctx.actions.declare_file(ctx.label.name + ".config.json")
    ctx.actions.write(config, json.encode_indent({
        "command": ctx.attr.command,
        "entrypoint": ctx.attr.entrypoint,
        "environment": ctx.attr.environment,
        "exposed_ports": ctx.attr.exposed_ports,
        "labels": {_PREFIX + name: value for name, value in ctx.attr.labels.items()},
        "stop_signal": ctx.attr.stop_signal,
        "user": ctx.attr.user,
        "working_directory": ctx.attr.working_directory,
    }, indent = "  "))
    layers = [layer[LayerInfo] for layer in ctx.attr.layers]
    args = ctx.actions.args()
    args.add("--config", config)
    args.add("--lock", ctx.file.lock)
    for layer in layers:
        args.add("--layer", layer.blob)
        args.add(layer.facts)
    if ctx.file.version:
        args.add("--version-file", ctx.file.version)
    args.add("--output", layout.path)
    ctx.actions.run(
        executable = ctx.executable._tool,
        arguments = [args],
        inputs = [config, ctx.file.lock] + ctx.files.version +
                 [file for layer in layers for file in [layer.blob, layer.facts]],
        outputs = [layout],
        mnemonic = "OciImage",
    )
    return [DefaultInfo(files = depset([layout]), runfiles = ctx.runfiles([layout]))]

_oci_image = rule(
    doc = "An image as one folder, an OCI layout; its digest is that of the manifest in index.json.",
    implementation = _oci_image_impl,
    attrs = {
        "command": attr.string_list(doc = "The arguments when none are given."),
        "entrypoint": attr.string_list(doc = "What is run."),
        "environment": attr.string_dict(doc = "Environment variables."),
        "exposed_ports": attr.string_list(doc = "Such as 8080/tcp."),
        "labels": attr.string_dict(doc = "Those of OCI, without their prefix " + _PREFIX),
        "layers": attr.label_list(doc = "The layers, the lowest first.", mandatory = True, providers = [LayerInfo]),
        "lock": attr.label(allow_single_file = True, doc = "That of its Debian packages.", mandatory = True),
        "stop_signal": attr.string(doc = "What ends it."),
        "user": attr.string(doc = "UID:GID; root if empty."),
        "version": attr.label(allow_single_file = True, doc = "The version, for the labels: see //gens:version."),
        "working_directory": attr.string(default = "/", doc = "Where it runs."),
        "_tool": attr.label(cfg = "exec", default = "//image:make_image", executable = True),
    },
)

def _oci_index_impl(ctx):
    layout = ctx.actions.declare_directory(ctx.label.name)
    args = ctx.actions.args()
    args.add("--output", layout.path)
    args.add_all(ctx.files.images, expand_directories = False)
    ctx.actions.run(
        executable = ctx.executable._tool,
        arguments = [args],
        inputs = ctx.files.images,
        outputs = [layout],
        mnemonic = "OciIndex",
    )
    return [DefaultInfo(files = depset([layout]), runfiles = ctx.runfiles([layout]))]

oci_index = rule(
    doc = "Images of several architectures as one folder, an OCI layout; its digest is that of the index in index.json.",
    implementation = _oci_index_impl,
    attrs = {
        "images": attr.label_list(doc = "The images, each one folder.", mandatory = True),
        "_tool": attr.label(cfg = "exec", default = "//image:make_index", executable = True),
    },
)

def oci_image(name, layers, **kwargs):
    """Makes an image for each architecture: NAME_amd64 and NAME_arm64, and NAME, an OCI index of them.

    Args:
      name: of the targets.
      layers: the layers, the lowest first; `{architecture}` stands for the name of the architecture.
      **kwargs: what the rule takes besides.
    """
    for architecture in ARCHITECTURES:
        _oci_image(
            name = "%s_%s" % (name, architecture),
            layers = [layer.format(architecture = architecture) for layer in layers],
            lock = Label("//image/debian:packages.%s.lock.json" % architecture),
            **kwargs
        )
    oci_index(
        name = name,
        images = [":%s_%s" % (name, architecture) for architecture in ARCHITECTURES],
        visibility = kwargs.get("visibility"),
    )
