"""What the images of runtime/model.bzl and runtime/baked.bzl have in common: settings, and targets beside their own."""

load("//image:image.bzl", "oci_index")
load("//image/engine:load.bzl", "oci_load")
load("//image/registry:push.bzl", "oci_push")

# Of rules whose images are derived from another one.
SETTINGS_ATTRS = {
    "command": attr.string_list(doc = "The arguments when none are given."),
    "entrypoint": attr.string_list(doc = "What is run, if not what the base runs."),
    "env": attr.string_dict(doc = "Environment variables, besides those of the base."),
    "labels": attr.string_dict(doc = "Labels, by their full names."),
    "ports": attr.string_list(doc = "Such as 8080/tcp."),
    "stop_signal": attr.string(doc = "What ends it."),
    "user": attr.string(doc = "UID:GID, if not that of the base."),
}

def write_settings(ctx):
    """Declares the file of an image's settings, as image/model/derived_image.py reads it.

    Args:
      ctx: the context of a rule with `SETTINGS_ATTRS` and `working_directory`.

    Returns:
      the file.
    """
    settings = ctx.actions.declare_file(ctx.label.name + ".settings.json")
    ctx.actions.write(settings, json.encode_indent({
        "command": ctx.attr.command,
        "entrypoint": ctx.attr.entrypoint,
        "environment": ctx.attr.env,
        "exposed_ports": ctx.attr.ports,
        "labels": ctx.attr.labels,
        "stop_signal": ctx.attr.stop_signal,
        "user": ctx.attr.user,
        "working_directory": ctx.attr.working_directory,
    }, indent = "  "))
    return settings

def image_targets(name, architectures, **kwargs):
    """Declares NAME, the index of its images, NAME.sbom, NAME.push and NAME.load.

    Args:
      name: of the targets.
      architectures: those of the images NAME_amd64 and so on, each with its bill, NAME_amd64.bill.
      **kwargs: what all rules take: visibility, tags, testonly.
    """
    oci_index(
        name = name,
        images = ["%s_%s" % (name, architecture) for architecture in architectures],
        **kwargs
    )
    native.filegroup(
        name = name + ".sbom",
        srcs = ["%s_%s.bill" % (name, architecture) for architecture in architectures],
        **kwargs
    )
    oci_push(
        name = name + ".push",
        image = ":" + name,
        **kwargs
    )
    oci_load(
        name = name + ".load",
        image = ":" + name,
        tag = name + ":latest",
        **kwargs
    )
