"""Kubernetes manifests whose images are those that Bazel has built."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load("@rules_python//python:defs.bzl", "py_binary")

def _kubernetes_base_impl(ctx):
    directory = ctx.actions.declare_directory(ctx.attr.name)
    arguments = ctx.actions.args()
    arguments.add(directory.path)
    arguments.add_all(ctx.files.srcs, before_each = "--file")
    layouts = []
    for image, name in ctx.attr.images.items():
        files = image[DefaultInfo].files.to_list()
        if len(files) != 1:
            fail("%s: an image is one directory, an OCI layout, not %d files" % (image.label, len(files)))
        layouts += files
        arguments.add_all("--image", [name, files[0].path], expand_directories = False)
    arguments.add("--registry", ctx.attr._registry[BuildSettingInfo].value)
    ctx.actions.run(
        executable = ctx.executable._write_base,
        arguments = [arguments],
        inputs = ctx.files.srcs + layouts,
        outputs = [directory],
        mnemonic = "KubernetesBase",
        progress_message = "Pinning the images of %{label}",
    )
    files = depset([directory])
    return [DefaultInfo(files = files, runfiles = ctx.runfiles(transitive_files = files))]

kubernetes_base = rule(
    implementation = _kubernetes_base_impl,
    doc = "A folder with a kustomization and its manifests, in which the images have the digests of this build.",
    attrs = {
        "srcs": attr.label_list(
            allow_files = [".yaml"],
            mandatory = True,
            doc = "kustomization.yaml, without `images`, and what it names: all go into one folder.",
        ),
        "images": attr.label_keyed_string_dict(
            mandatory = True,
            doc = "Images, each one directory that is an OCI layout, and the names by which manifests know them.",
        ),
        "_registry": attr.label(default = "//tools/deploy:registry"),
        "_write_base": attr.label(default = "//tools/deploy:write_base", executable = True, cfg = "exec"),
    },
)

def kubernetes_render(name, base, **kwargs):
    """Makes a command that prints a base for `kubectl apply -f -`.

    Args:
      name: of the target.
      base: a kubernetes_base.
      **kwargs: what py_binary takes besides.
    """
    py_binary(
        name = name,
        srcs = [Label("//tools/deploy:render.py")],
        main = Label("//tools/deploy:render.py"),
        args = ["$(rootpath %s)" % base],
        data = [
            base,
            Label("//gens:version"),
        ],
        deps = [Label("//tools/deploy")],
        **kwargs
    )

def _kubernetes_chart_impl(ctx):
    archive = ctx.actions.declare_file(ctx.attr.name + ".tgz")
    artifact = ctx.actions.declare_directory(ctx.attr.name)
    layouts = ctx.attr.image[DefaultInfo].files.to_list()
    if len(layouts) != 1:
        fail("%s: an image is one directory, an OCI layout, not %d files" % (ctx.attr.image.label, len(layouts)))
    arguments = ctx.actions.args()
    arguments.add(archive)
    arguments.add(artifact.path)
    arguments.add_all(ctx.files.base, before_each = "--base")
    arguments.add_all(ctx.files.components, before_each = "--component")
    arguments.add_all("--image", [ctx.attr.image_name, layouts[0].path], expand_directories = False)
    arguments.add("--registry", ctx.attr._registry[BuildSettingInfo].value)
    arguments.add("--version-file", ctx.file._version)
    ctx.actions.run(
        executable = ctx.executable._write_chart,
        arguments = [arguments],
        inputs = ctx.files.base + ctx.files.components + layouts + [ctx.file._version],
        outputs = [archive, artifact],
        mnemonic = "KubernetesChart",
        progress_message = "Writing the Helm chart %{label}",
    )
    return [
        DefaultInfo(files = depset([artifact])),
        OutputGroupInfo(archive = depset([archive])),
    ]

_kubernetes_chart = rule(
    implementation = _kubernetes_chart_impl,
    attrs = {
        "base": attr.label_list(allow_files = [".yaml"], mandatory = True),
        "components": attr.label_list(allow_files = True, mandatory = True),
        "image": attr.label(mandatory = True),
        "image_name": attr.string(mandatory = True),
        "_registry": attr.label(default = "//tools/deploy:registry"),
        "_version": attr.label(default = "//gens:version", allow_single_file = True),
        "_write_chart": attr.label(default = "//tools/deploy/chart:write_chart", executable = True, cfg = "exec"),
    },
)

def kubernetes_chart(name, base, components, image, image_name, **kwargs):
    """Makes a Helm chart: NAME, a folder with its OCI artifact, and NAME.archive, the `.tgz`.

    Args:
      name: of the target.
      base: files of a base, without `images`.
      components: files of its components, each in a folder with the component's name.
      image: the daemon's image, one directory that is an OCI layout.
      image_name: by which the manifests know it.
      **kwargs: what every rule takes.
    """
    _kubernetes_chart(
        name = name,
        base = base,
        components = components,
        image = image,
        image_name = image_name,
        **kwargs
    )
    native.filegroup(
        name = name + ".archive",
        srcs = [name],
        output_group = "archive",
        **kwargs
    )
