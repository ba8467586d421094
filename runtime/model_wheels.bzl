"""Downloads the wheels of layer locks, for `weightless_model` (model.bzl).

In MODULE.bazel:

    model_wheels = use_extension("//runtime:model_wheels.bzl", "model_wheels")
    model_wheels.lock(name = "echo_wheels", lock = "//runtime/examples/echo:model.lock")
    use_repo(model_wheels, "echo_wheels")
"""

# glibc versions of the platform tags of PEP 600: those before 2.17 have names of their own as well.
_LEGACY = {
    "2_17": "manylinux2014",
    "2_12": "manylinux2010",
    "2_5": "manylinux1",
}

def _header(path, lines, key):
    for line in lines:
        if line.startswith("# %s: " % key):
            return line.removeprefix("# %s: " % key)
    fail("%s: has no line '# %s: …': it is not a layer lock; `bazel run //tools:layer -- lock` makes one" % (path, key))

def platform_tags(platform):
    """Returns the platform tags of wheels that run on a platform, the best first.

    Args:
      platform: in uv's words, such as x86_64-manylinux_2_34.

    Returns:
      the tags, such as manylinux_2_34_x86_64.
    """
    machine, _, glibc = platform.partition("-manylinux_2_")
    tags = []
    for minor in range(int(glibc), 4, -1):
        names = ["manylinux_2_%d" % minor]
        legacy = _LEGACY.get("2_%d" % minor)
        if legacy:
            names.append(legacy)
        tags += ["%s_%s" % (name, machine) for name in names]
    return tags + ["linux_" + machine]

def from_index(text):
    """Returns the lines of a layer lock that pip needs to download what is on an index.

    Args:
      text: the lock.

    Returns:
      the lines, without those of wheels that were built for the lock.
    """
    lines = text.split("\n")
    built = [
        line.removeprefix("# built: ").partition("==")[0]
        for line in lines
        if line.startswith("# built: ")
    ]
    return [line for line in lines if line and not line.startswith("#") and line.partition("==")[0] not in built]

def download_wheels(rctx, subject, requirements, python, platform):
    """Downloads wheels into the folder `wheels` of a repository, for its target `WHEELS_TARGET`.

    Args:
      rctx: the context of the repository, whose attributes are those of `DOWNLOAD_ATTRS`.
      subject: what they are for, for messages.
      requirements: lines for pip, with hashes.
      python: the minor version of Python.
      platform: in uv's words.
    """
    rctx.file("requirements.txt", "\n".join(requirements) + "\n")
    if [line for line in requirements if not line.startswith("--")]:
        pip = rctx.path(rctx.attr.pip_wheel).dirname.get_child("site-packages")

        # pip's configuration names the index and whom to trust; the hashes select the files.
        result = rctx.execute(
            [rctx.path(rctx.attr.interpreter), "-m", "pip", "download", "--quiet", "--disable-pip-version-check"] +
            ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--dest", "wheels"] +
            ["--implementation", "cp", "--python-version", python] +
            [word for tag in platform_tags(platform) for word in ["--platform", tag]] +
            ["--requirement", "requirements.txt"],
            environment = {"PYTHONPATH": str(pip), "PYTHONSAFEPATH": "1"},
            timeout = 3600,
        )
        if result.return_code:
            fail("%s: pip cannot download its wheels: %s" % (subject, result.stderr))

WHEELS_TARGET = """\
filegroup(
    name = "wheels",
    srcs = glob(["wheels/*.whl"], allow_empty = True),
    visibility = ["//visibility:public"],
)
"""

DOWNLOAD_ATTRS = {
    "interpreter": attr.label(default = "@interpreter//:python", doc = "The Python that runs pip."),
    "pip_wheel": attr.label(default = "@pip_pip//:BUILD.bazel", doc = "The wheel of pip."),
}

def _layer_wheels_impl(rctx):
    lock = rctx.attr.lock
    text = rctx.read(lock)
    lines = text.split("\n")
    python = _header(lock, lines, "environment").partition("-")[0].removeprefix("python")
    download_wheels(rctx, lock, from_index(text), python, _header(lock, lines, "platform"))
    rctx.file("BUILD.bazel", WHEELS_TARGET)

_layer_wheels = repository_rule(
    doc = "A repository with a target `wheels`: those of a layer lock that are on an index.",
    implementation = _layer_wheels_impl,
    attrs = dict(DOWNLOAD_ATTRS, lock = attr.label(doc = "The layer lock.", mandatory = True)),
)

def _model_wheels_impl(mctx):
    for module in mctx.modules:
        for lock in module.tags.lock:
            _layer_wheels(name = lock.name, lock = lock.lock)

model_wheels = module_extension(
    implementation = _model_wheels_impl,
    tag_classes = {
        "lock": tag_class(attrs = {
            "lock": attr.label(doc = "The layer lock.", mandatory = True),
            "name": attr.string(doc = "Name of the repository, whose target `wheels` a model takes.", mandatory = True),
        }),
    },
)
