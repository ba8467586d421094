"""`baked_image`: a base image that holds one environment. README.md shows its use."""

load("//image:architectures.bzl", "ARCHITECTURES")
load("//image/engine:load.bzl", "oci_run")
load(":image_targets.bzl", "SETTINGS_ATTRS", "image_targets", "write_settings")

_CPUS = {
    "amd64": "x86_64",
    "arm64": "aarch64",
}

def _baked_impl(ctx):
    environment = ctx.actions.declare_file(ctx.label.name + ".environment.json")
    gens = ctx.files.gens
    if len(gens) > 1:
        fail("%s: gens has %d files; it must be one folder" % (ctx.label, len(gens)))
    args = ctx.actions.args()
    args.add("--architecture", ctx.attr.architecture)
    args.add("--gen", ctx.attr.gen)
    args.add("--environment", ctx.attr.environment)
    args.add_all(ctx.attr.toolkits, before_each = "--toolkit")
    args.add_all(gens, before_each = "--gens", expand_directories = False)
    args.add("--output", environment)
    ctx.actions.run(
        executable = ctx.executable._find_environment,
        arguments = [args],
        inputs = gens,
        outputs = [environment],
        mnemonic = "BakedEnvironment",
    )

    layers = ctx.actions.declare_directory(ctx.label.name + ".layers")
    args = ctx.actions.args()
    args.add("--environment", environment)
    args.add("--installer", ctx.executable._installer)
    args.add_all(gens, before_each = "--gens", expand_directories = False)
    args.add_all(ctx.files.python, before_each = "--python")
    args.add("--output", layers.path)
    args.add_all(ctx.files.wheels)
    ctx.actions.run(
        executable = ctx.executable._make_layers,
        arguments = [args],
        inputs = [environment] + gens + ctx.files.python + ctx.files.wheels,
        outputs = [layers],
        mnemonic = "BakedLayers",
        progress_message = "Installing %s for %%{label}" % ctx.attr.environment,
        tools = [ctx.attr._installer[DefaultInfo].files_to_run],
    )

    settings = write_settings(ctx)
    layout = ctx.actions.declare_directory(ctx.label.name)
    args = ctx.actions.args()
    args.add("--title", ctx.attr.title)
    args.add("--base", ctx.file.base.path)
    args.add("--environment", environment)
    args.add("--settings", settings)
    args.add("--layers", layers.path)
    args.add("--output", layout.path)
    ctx.actions.run(
        executable = ctx.executable._make_image,
        arguments = [args],
        inputs = [ctx.file.base, environment, settings, layers],
        outputs = [layout],
        mnemonic = "BakedImage",
    )

    bill = ctx.actions.declare_file(ctx.label.name + ".cdx.json")
    args = ctx.actions.args()
    args.add("--image", layout.path)
    args.add("--debian-lock", ctx.file.debian_lock)
    args.add("--output", bill)
    ctx.actions.run(
        executable = ctx.executable._make_bill,
        arguments = [args],
        inputs = [layout, ctx.file.debian_lock],
        outputs = [bill],
        mnemonic = "BakedBill",
    )
    return [
        DefaultInfo(files = depset([layout]), runfiles = ctx.runfiles([layout])),
        OutputGroupInfo(bill = depset([bill])),
    ]

_baked_image = rule(
    doc = "An image that holds one environment, for one architecture, as one folder, an OCI layout.",
    implementation = _baked_impl,
    attrs = SETTINGS_ATTRS | {
        "architecture": attr.string(doc = "amd64 or arm64.", mandatory = True),
        "base": attr.label(allow_single_file = True, doc = "The image below, an OCI layout.", mandatory = True),
        "debian_lock": attr.label(allow_single_file = True, doc = "That of the Debian packages of the base.", mandatory = True),
        "environment": attr.string(doc = "The environment.", mandatory = True),
        "gen": attr.int(doc = "Its generation.", mandatory = True),
        "gens": attr.label(allow_files = True, doc = "Folder of definitions and locks, instead of //gens."),
        "python": attr.label_list(allow_files = True, doc = "The archive of the interpreter.", mandatory = True),
        "title": attr.string(doc = "Its label.", mandatory = True),
        "toolkits": attr.string_list(doc = "Its toolkits."),
        "wheels": attr.label_list(
            allow_files = True,
            doc = "The wheels of the environment and its toolkits, or folders of wheels.",
            mandatory = True,
        ),
        "working_directory": attr.string(doc = "Where the command runs, if not where that of the base does."),
        "_find_environment": attr.label(cfg = "exec", default = "//image/baked:find_environment", executable = True),
        "_installer": attr.label(cfg = "exec", default = "//daemon", executable = True),
        "_make_bill": attr.label(cfg = "exec", default = "//image/model:make_bill", executable = True),
        "_make_image": attr.label(cfg = "exec", default = "//image/baked:make_baked_image", executable = True),
        "_make_layers": attr.label(cfg = "exec", default = "//image/baked:make_baked_layers", executable = True),
    },
)

def baked_image(
        name,
        gen,
        environment,
        wheels,
        python,
        toolkits = [],
        command = [],
        entrypoint = [],
        env = {},
        labels = {},
        user = "",
        working_directory = "",
        architecture = "amd64",
        gens = None,
        base = str(Label("//runtime:image_{architecture}")),
        debian_lock = str(Label("//image/debian:packages.{architecture}.lock.json")),
        **kwargs):
    """Makes an image that holds one environment, for machines without a daemon: CI, laptops, some clusters.

    The targets are NAME, an OCI index of the image NAME_amd64; NAME.push and NAME.load, as those of the runtime; NAME.run,
    which runs a command in a container; NAME.sbom, the bill of materials. `weightless_model` takes NAME as its `base`.

    The installer of //daemon makes the environment, so it must run on a machine of the architecture.

    Args:
      name: of the targets, and the title of the image.
      gen: ID of the generation, such as 3.
      environment: name of the environment, such as "python3.11-torch2.13.0-cu130".
      wheels: the wheels of its lock and of those of the toolkits: the target `wheels` of the repository that
        `baked_wheels.environment` makes in MODULE.bazel.
      python: the archive of its interpreter: the target `python` of that repository; or another archive of
        python-build-standalone, with a list of downloads that names it.
      toolkits: names of toolkits, such as ["cuda13.0"], to compile extensions with.
      command: the arguments when none are given.
      entrypoint: what runs them, if not the runtime's `exec`.
      env: environment variables. Those that select the environment are set.
      labels: labels, by their full names.
      user: `UID:GID`, if not that of the base: 1000:1000.
      working_directory: where the command runs, if not where that of the base does.
      architecture: amd64 or arm64.
      gens: a folder of definitions and locks, instead of //gens.
      base: the image below, an OCI layout or an index; `{architecture}` stands for the name of the architecture.
      debian_lock: the lock of its Debian packages, for the bill of materials; `{architecture}` as in `base`.
      **kwargs: what all rules take: visibility, tags, testonly.
    """
    if architecture not in ARCHITECTURES:
        fail("%s: %r is not an architecture of the images, which are %s" % (name, architecture, ", ".join(ARCHITECTURES)))
    variant = "%s_%s" % (name, architecture)
    _baked_image(
        name = variant,
        architecture = architecture,
        base = base.format(architecture = architecture),
        command = command,
        debian_lock = debian_lock.format(architecture = architecture),
        entrypoint = entrypoint,
        env = env,
        environment = environment,
        # An interpreter of the environment compiles its packages: another machine could not run it.
        exec_compatible_with = [Label("@platforms//cpu:" + _CPUS[architecture])],
        gen = gen,
        gens = gens,
        labels = labels,
        python = [python] if type(python) == "string" else python,
        title = name,
        toolkits = toolkits,
        user = user,
        wheels = [wheels] if type(wheels) == "string" else wheels,
        working_directory = working_directory,
        **kwargs
    )
    native.filegroup(
        name = variant + ".bill",
        srcs = [variant],
        output_group = "bill",
        **kwargs
    )
    image_targets(name, [architecture], **kwargs)
    oci_run(
        name = name + ".run",
        image = ":" + name,
        tag = name + ":latest",
        **kwargs
    )
