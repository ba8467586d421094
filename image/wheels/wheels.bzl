"""Downloads wheels for the images' Python and architecture, not those of this machine: of the daemon, of the builder."""

load("//image:architectures.bzl", "ARCHITECTURES")
load("//image/oci:layer.bzl", "LayerInfo")

# By the name of the repository. //tests/images runs the programs in the images, which shows a missing distribution.
_DISTRIBUTIONS = {
    # What `monobase-layer lock` imports beside those of the daemon, and their dependencies.
    "builder_wheels": [
        "certifi",
        "charset-normalizer",
        "idna",
        "remotezip",
        "requests",
        "urllib3",
    ],
    # The daemon's imports and their dependencies.
    "image_wheels": [
        "click",
        "markdown-it-py",
        "mdurl",
        "msgspec",
        "packaging",
        "prometheus-client",
        "pygments",
        "rich",
        "uv",
    ],
}
_PYTHON_VERSION = "3.13"
_GLIBC = ["manylinux_2_28", "manylinux_2_17", "manylinux2014"]
_MACHINES = {
    "amd64": "x86_64",
    "arm64": "aarch64",
}

def _select(lock, requirements, distributions):
    """Gives the requirements of some distributions, each with its hashes."""
    selected = {}
    taking = None
    for line in requirements.split("\n"):
        if line.startswith("#"):
            continue
        if line and not line.startswith(" "):
            taking = line.split("==")[0]
        if taking in distributions and line.strip() and not line.strip().startswith("#"):
            selected.setdefault(taking, []).append(line)
    missing = [name for name in distributions if name not in selected]
    if missing:
        fail("%s does not lock %s" % (lock, ", ".join(missing)))

    # The last line of a requirement may be a comment, which is left out: the line before must not end with a backslash.
    return "\n".join(["\n".join(lines).removesuffix("\\").rstrip() for lines in selected.values()]) + "\n"

def _python_wheels_impl(rctx):
    lock = rctx.attr.requirements
    distributions = rctx.attr.distributions
    rctx.file("requirements.txt", _select(lock, rctx.read(lock), distributions))
    pip = rctx.path(rctx.attr.pip_wheel).dirname.get_child("site-packages")
    platforms = [word for glibc in _GLIBC for word in ["--platform", "%s_%s" % (glibc, _MACHINES[rctx.attr.architecture])]]

    # pip's configuration names the index and whom to trust; the hashes select the files.
    result = rctx.execute(
        [rctx.path(rctx.attr.interpreter), "-m", "pip", "download", "--quiet"] +
        ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--dest", "wheels"] +
        ["--implementation", "cp", "--python-version", _PYTHON_VERSION] +
        platforms + ["--requirement", "requirements.txt"],
        environment = {"PYTHONPATH": str(pip), "PYTHONSAFEPATH": "1"},
    )
    if result.return_code:
        wanted = ", ".join(distributions)
        fail("pip cannot fetch the wheels for %s of %s: %s" % (rctx.attr.architecture, wanted, result.stderr))
    rctx.file("BUILD.bazel", """\
filegroup(
    name = "wheels",
    srcs = glob(["wheels/*.whl"]),
    visibility = ["//visibility:public"],
)
""")

python_wheels = repository_rule(
    doc = "A repository with a target `wheels`: those of some distributions of a lock.",
    implementation = _python_wheels_impl,
    attrs = {
        "architecture": attr.string(mandatory = True, doc = "That of the image."),
        "distributions": attr.string_list(mandatory = True, doc = "Names of the distributions, as the lock has them."),
        "interpreter": attr.label(default = "@interpreter//:python", doc = "The Python that runs pip."),
        "pip_wheel": attr.label(default = "@pip_pip//:BUILD.bazel", doc = "The wheel of pip."),
        "requirements": attr.label(default = "//tools/python:requirements.txt", doc = "The lock."),
    },
)

def _wheels_impl(_mctx):
    for architecture in ARCHITECTURES:
        for name, distributions in _DISTRIBUTIONS.items():
            python_wheels(
                name = "%s_%s" % (name, architecture),
                architecture = architecture,
                distributions = distributions,
            )

wheels = module_extension(implementation = _wheels_impl)

def _wheel_layer_impl(ctx):
    blob = ctx.actions.declare_file(ctx.label.name + ".tar.gz")
    facts = ctx.actions.declare_file(ctx.label.name + ".json")
    args = ctx.actions.args()
    args.add("--blob", blob)
    args.add("--facts", facts)
    args.add_all(ctx.files._python, before_each = "--python")
    args.add_all(ctx.files.wheels)
    ctx.actions.run(
        executable = ctx.executable._tool,
        arguments = [args],
        inputs = ctx.files.wheels + ctx.files._python,
        outputs = [blob, facts],
        mnemonic = "WheelLayer",
    )
    return [
        DefaultInfo(files = depset([blob, facts])),
        LayerInfo(blob = blob, facts = facts),
    ]

wheel_layer = rule(
    doc = "A layer with wheels, installed and compiled in the folder of Debian's Python for an administrator's packages.",
    implementation = _wheel_layer_impl,
    attrs = {
        "wheels": attr.label_list(allow_files = [".whl"], mandatory = True),
        "_python": attr.label(allow_files = [".deb"], cfg = "exec", default = "//image/debian:image_python"),
        "_tool": attr.label(cfg = "exec", default = "//image/wheels:make_wheel_layer", executable = True),
    },
)
